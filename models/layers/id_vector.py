"""The vector of one id, nothing for an id that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.token_embedding import TokenEmbedding


class IdVector(keras.layers.Layer):
    """Look one categorical field up; padding and OOV ids give zeros.

        output = table[id] if num_oov < id < vocabulary_size, else 0

    Args:
      field: categorical.
      embedding_dim: length of the output.
      scale: standard deviation of the initial values.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> item = Field("item_id", "categorical", "candidate", "item_id", vocabulary_size=5, num_oov=1)
      >>> IdVector(item, 2)({"item_id": np.array([0, 1, 9])}).numpy().any()
      np.False_
    """

    def __init__(self, field: Field, embedding_dim: int, scale: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.field = field
        self.embeddings = TokenEmbedding(field.vocabulary_size, embedding_dim, scale)

    def call(self, features: Mapping[str, Any]) -> Any:
        """Return the vectors."""
        ids = features[self.field.name]
        known = ops.logical_and(ids > self.field.num_oov, ids < self.field.vocabulary_size)
        return self.embeddings(ids) * ops.cast(known, self.compute_dtype)[:, None]
