"""All pairs of field vectors, multiplied and summed into one vector."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class BiInteraction(keras.layers.Layer):
    """Sum of the element-wise products of all pairs of field vectors.

        output_d = sum_{i<j} v_id v_jd = 0.5 ((sum_i v_id)^2 - sum_i v_id^2)

    Call arguments:
      vectors: float32 `(batch_size, num_fields, embedding_dim)`; a numeric field's vector is already times its value.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], np.float32)
      >>> BiInteraction()(vectors).numpy().tolist()  # 1*3 + 1*5 + 3*5 and 2*4 + 2*6 + 4*6
      [[23.0, 44.0]]

    Reference:
      He, Chua: Neural factorization machines, 2017, equation (4), https://arxiv.org/abs/1708.05027
    """

    def call(self, vectors: Any) -> Any:
        """Return the pooled vector."""
        return 0.5 * (ops.square(ops.sum(vectors, axis=1)) - ops.sum(ops.square(vectors), axis=1))

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape without the fields."""
        return (vectors_shape[0], vectors_shape[2])
