"""Ids to vectors, safe for every id."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class TokenEmbedding(keras.layers.Layer):
    """Look up the vectors of ids; an id outside the table takes the vector of id 1, the first OOV bucket.

        output = table[id]  if 0 <= id < vocabulary_size,  else table[1]

    A lookup out of range raises on a CPU and gives zeros on a GPU; neither may happen to a served model.

    Args:
      vocabulary_size: number of rows, padding (id 0) and OOV buckets included.
      embedding_dim: length of a vector.
      scale: standard deviation of the initial values.

    Call arguments:
      ids: int64 of any shape `(batch_size, ...)`.

    Returns:
      float32 `(batch_size, ..., embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> layer = TokenEmbedding(vocabulary_size=3, embedding_dim=2)
      >>> vectors = layer(np.array([1, 7, -4]))
      >>> bool(ops.all(vectors == vectors[0]))
      True
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, scale: float = 0.05, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.scale = scale

    def build(self, ids_shape: tuple[int | None, ...]) -> None:
        """Create the table."""
        initializer = keras.initializers.RandomNormal(stddev=self.scale)
        # Not cast on its way in: with mixed precision that would copy the whole table at every step.
        self.table = self.add_weight(
            (self.vocabulary_size, self.embedding_dim), initializer, autocast=False, name="table"
        )

    def call(self, ids: Any) -> Any:
        """Return the vectors."""
        inside = ops.logical_and(ids >= 0, ids < self.vocabulary_size)
        known = ops.where(inside, ids, ops.full_like(ids, min(1, self.vocabulary_size - 1)))
        return ops.cast(ops.take(self.table, ops.cast(known, "int32"), axis=0), self.compute_dtype)

    def compute_output_shape(self, ids_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the ids' shape with the vector behind."""
        return (*ids_shape, self.embedding_dim)
