"""A user as the items of the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.pooling import MaskedPooling, Pooling
from models.layers.token_embedding import TokenEmbedding


class HistoryVector(keras.layers.Layer):
    """Pool the vectors of the history's known items; padding and OOV ids count for nothing.

    Args:
      history: the sequence of item ids.
      embedding_dim: length of the output.
      pooling: `sum`, `mean`, `sqrtn` or `recency`.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, embedding_dim)`; zeros where no item is known.
    """

    def __init__(self, history: Field, embedding_dim: int, pooling: Pooling, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history = history
        self.embeddings = TokenEmbedding(history.vocabulary_size, embedding_dim, scale=0.1)
        self.pool = MaskedPooling(pooling)

    def call(self, features: Mapping[str, Any]) -> Any:
        """Return the pooled vectors."""
        ids = features[self.history.name]
        known = ops.logical_and(ids > self.history.num_oov, ids < self.history.vocabulary_size)
        return self.pool(self.embeddings(ids), known)
