"""The second-order term of a factorization machine."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.layers.bi_interaction import BiInteraction


@keras.saving.register_keras_serializable(package="shortlist")
class FactorizationInteraction(BiInteraction):
    """Sum of the inner products of all pairs of field vectors.

        output = sum_{i<j} v_i·v_j = 0.5 sum_d ((sum_i v_id)^2 - sum_i v_id^2)

    Call arguments:
      vectors: float32 `(batch_size, num_fields, embedding_dim)`; a numeric field's vector is already times its value.

    Returns:
      float32 `(batch_size, 1)`.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], np.float32)
      >>> float(FactorizationInteraction()(vectors)[0, 0])  # 11 + 17 + 39
      67.0

    Reference:
      Rendle: Factorization machines, 2010, equation (1), https://doi.org/10.1109/ICDM.2010.127
    """

    def call(self, vectors: Any) -> Any:
        """Return the term."""
        return ops.sum(super().call(vectors), axis=1, keepdims=True)

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return one number a row."""
        return (vectors_shape[0], 1)
