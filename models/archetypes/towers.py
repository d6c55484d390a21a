"""A retrieval model made of two towers."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel
from models.layers.metric import distance_candidate, distance_query, in_unit_ball

Similarity = Literal["dot", "cosine", "distance"]


class TowersModel(RetrievalModel):
    """A layer a side, and a similarity between what they return.

        dot:       score = q·c
        cosine:    score = q·c / (|q| |c| temperature)
        distance:  score = -|q - c|²,   q and c moved into the unit ball

    Args:
      query: layer that maps the features to `(batch_size, dim)`.
      candidate: the same for the items.
      similarity: `dot`, `cosine` or `distance`.
      temperature: divides the cosine; the smaller, the sharper the softmax.
      l2: lambda of the penalty.
    """

    def __init__(
        self,
        query: keras.layers.Layer,
        candidate: keras.layers.Layer,
        similarity: Similarity = "dot",
        temperature: float = 1.0,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.candidate = candidate
        self.similarity = similarity
        self.temperature = temperature
        self.l2 = l2

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the query tower's vectors, of length `1 / temperature` for a cosine, two longer for a distance."""
        vectors = self.query(features, training=training)
        if self.similarity == "distance":
            return distance_query(in_unit_ball(vectors))
        return vectors if self.similarity == "dot" else ops.normalize(vectors, axis=-1) / self.temperature

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the candidate tower's vectors, of length 1 for a cosine, two longer for a distance."""
        vectors = self.candidate(features, training=training)
        if self.similarity == "distance":
            return distance_candidate(in_unit_ball(vectors))
        return vectors if self.similarity == "dot" else ops.normalize(vectors, axis=-1)

    def penalty(self, features: Features) -> Any:
        """Return `l2 / 2 (|q|² + |c|²)` of each row's towers, float32 `(batch_size,)`, before they are normalised."""
        if not self.l2:
            return 0.0
        sides = (self.query(features), self.candidate(features))
        return 0.5 * self.l2 * sum(ops.sum(ops.square(side), axis=-1) for side in sides)
