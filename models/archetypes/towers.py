"""A retrieval model made of two towers."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel

Similarity = Literal["dot", "cosine"]


class TowersModel(RetrievalModel):
    """A layer a side, and a similarity between what they return.

        dot:     score = q·c
        cosine:  score = q·c / (|q| |c| temperature)

    Args:
      query: layer that maps the features to `(batch_size, dim)`.
      candidate: the same for the items.
      similarity: `dot` or `cosine`.
      temperature: divides the cosine; the smaller, the sharper the softmax.
    """

    def __init__(
        self,
        query: keras.layers.Layer,
        candidate: keras.layers.Layer,
        similarity: Similarity = "dot",
        temperature: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.candidate = candidate
        self.similarity = similarity
        self.temperature = temperature

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the query tower's vectors, of length `1 / temperature` for a cosine."""
        vectors = self.query(features, training=training)
        return vectors if self.similarity == "dot" else ops.normalize(vectors, axis=-1) / self.temperature

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the candidate tower's vectors, of length 1 for a cosine."""
        vectors = self.candidate(features, training=training)
        return vectors if self.similarity == "dot" else ops.normalize(vectors, axis=-1)
