"""The query tower of Caser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from models.archetypes.retrieval import Features
from models.feature_space import Field
from models.layers.id_vector import IdVector
from models.layers.last_items import LastItems
from models.layers.sequence_convolution import SequenceConvolution


class ConvolutionTower(keras.layers.Layer):
    """What the user did last, and who the user is: `[relu(W dropout(convolutions(E)) + b), P_u]`.

    Args:
      history: the sequence of item ids.
      user: field of the user's id.
      embedding_dim: length of each part.
      max_length: how many of the last items are read.
      heights: of the horizontal filters.
      num_horizontal: filters a height.
      num_vertical: vertical filters.
      dropout: share of the convolutions' outputs set to 0 in training.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, 2 * embedding_dim)`.
    """

    def __init__(
        self,
        history: Field,
        user: Field,
        embedding_dim: int,
        max_length: int,
        heights: Sequence[int],
        num_horizontal: int,
        num_vertical: int,
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.last_items = LastItems(history, embedding_dim, max_length)
        self.convolution = SequenceConvolution(heights, num_horizontal, num_vertical)
        self.drop = keras.layers.Dropout(dropout)
        self.dense = keras.layers.Dense(embedding_dim, "relu")
        self.user = IdVector(user, embedding_dim)

    def call(self, features: Features, training: bool = False) -> Any:
        """Return both parts."""
        vectors, _ = self.last_items(features)
        recent = self.dense(self.drop(self.convolution(vectors), training=training))
        return ops.concatenate([recent, self.user(features)], axis=1)
