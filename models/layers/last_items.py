"""The newest items of a history as vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.token_embedding import TokenEmbedding


class LastItems(keras.layers.Layer):
    """Look the last ids of a history up; padding gives zeros.

    Args:
      history: the sequence of item ids, the newest last, 0 in front for padding.
      embedding_dim: length of a vector.
      max_length: how many; a shorter history gives as many as it holds.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, length, embedding_dim)` and bool `(batch_size, length)`, False for padding.

    Example:
      >>> import numpy as np
      >>> history = Field("history", "sequence", "query", "item_id", vocabulary_size=9, length=4, num_oov=1)
      >>> vectors, mask = LastItems(history, 5, max_length=2)({"history": np.array([[0, 0, 0, 3]])})
      >>> vectors.shape, mask.numpy().tolist()
      (TensorShape([1, 2, 5]), [[False, True]])
    """

    def __init__(self, history: Field, embedding_dim: int, max_length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history = history
        self.length = min(max_length, history.length)
        self.embeddings = TokenEmbedding(history.vocabulary_size, embedding_dim, scale=0.1)

    def call(self, features: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the vectors and where there are any."""
        ids = features[self.history.name][:, -self.length :]
        mask = ids != 0
        return self.embeddings(ids) * ops.cast(mask, self.compute_dtype)[..., None], mask
