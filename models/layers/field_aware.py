"""The second-order term of a field-aware factorization machine."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class FieldAwareInteraction(keras.layers.Layer):
    """Sum over all pairs of fields of the inner product of the vectors that each has for the other.

        output = sum_{i<j} v_(i,j)·v_(j,i),   v_(i,j) = the part of field i's vector that stands for field j

    The vector that a field has for itself is not used.

    Call arguments:
      vectors: float32 `(batch_size, num_fields, num_fields * embedding_dim)`; field i's vector is
        `[v_(i,1), .., v_(i,F)]`, already times the value of a numeric field.

    Returns:
      float32 `(batch_size, 1)`.

    Errors:
      ValueError: the vectors cannot be cut into one part a field.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[7.0, 2.0], [3.0, 9.0]]], np.float32)
      >>> float(FieldAwareInteraction()(vectors)[0, 0])  # v_(1,2) v_(2,1) = 2 * 3
      6.0

    Reference:
      Juan et al.: Field-aware factorization machines for CTR prediction, 2016, equation (4),
      https://doi.org/10.1145/2959100.2959134
    """

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Check the width."""
        num_fields, width = int(vectors_shape[1] or 0), int(vectors_shape[2] or 0)
        if width % num_fields:
            raise ValueError(
                "the vectors should hold one part a field. "
                f"Received: {num_fields} fields and vectors of length {width}, which is no multiple of it"
            )

    def call(self, vectors: Any) -> Any:
        """Return the term."""
        num_fields, width = vectors.shape[1], vectors.shape[2]
        parts = ops.reshape(vectors, (-1, num_fields, num_fields, width // num_fields))
        # Every pair is counted from both sides, and each field with itself once.
        both = ops.einsum("bijd,bjid->b", parts, parts)
        own = ops.einsum("biid,biid->b", parts, parts)
        return 0.5 * (both - own)[:, None]

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return one number a row."""
        return (vectors_shape[0], 1)
