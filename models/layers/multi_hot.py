"""A list of ids as a vector of zeros and ones."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class MultiHot(keras.layers.Layer):
    """Mark the known ids of each row; a row without any marks id 0.

        output_j = 1 if j in ids and num_oov < j < vocabulary_size,  else 0
        output_0 = 1 if no id of the row is known,                   else 0

    Args:
      vocabulary_size: length of the output.
      num_oov: ids up to this one are padding or out of vocabulary.

    Call arguments:
      ids: int64 `(batch_size, length)`.

    Returns:
      float32 `(batch_size, vocabulary_size)`.

    Example:
      >>> import numpy as np
      >>> MultiHot(vocabulary_size=5, num_oov=1)(np.array([[0, 3, 3, 2], [0, 0, 1, 9]])).numpy().tolist()
      [[0.0, 0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(self, vocabulary_size: int, num_oov: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.num_oov = num_oov

    def call(self, ids: Any) -> Any:
        """Return the marks."""
        known = ops.logical_and(ids > self.num_oov, ids < self.vocabulary_size)
        columns = ops.cast(ops.where(known, ids, ops.zeros_like(ids)), "int32")
        rows = ops.zeros_like(columns) + ops.arange(ops.shape(ids)[0], dtype="int32")[:, None]
        indices = ops.stack([ops.reshape(rows, (-1,)), ops.reshape(columns, (-1,))], axis=1)
        # Scatter instead of one_hot: no (batch_size, length, vocabulary_size) intermediate.
        counts = ops.scatter(
            indices, ops.ones_like(indices[:, 0], "float32"), (ops.shape(ids)[0], self.vocabulary_size)
        )
        empty = ops.logical_not(ops.any(known, axis=1, keepdims=True))
        return ops.concatenate([ops.cast(empty, "float32"), ops.minimum(counts[:, 1:], 1.0)], axis=1)

    def compute_output_shape(self, ids_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(batch_size, vocabulary_size)`."""
        return (ids_shape[0], self.vocabulary_size)
