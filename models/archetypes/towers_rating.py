"""A rating model made of two towers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from models.archetypes.rating import RatingModel


class TowersRatingModel(RatingModel):
    """A layer a side, and what they say together.

        without `joint`:  rating = mean rating of train + q·c
        with it:          rating = mean rating of train + joint([q, c])

    Args:
      query: layer that maps the features to `(batch_size, dim)`.
      candidate: the same for the items.
      joint: layer that maps `(batch_size, 2 * dim)` to `(batch_size, 1)`, or None.
      l2: lambda of the penalty.
    """

    def __init__(
        self,
        query: keras.layers.Layer,
        candidate: keras.layers.Layer,
        joint: keras.layers.Layer | None = None,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.candidate = candidate
        self.joint = joint
        self.l2 = l2

    def deviation(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return `q·c`, or the joint layer's output."""
        q, c = self.query(features, training=training), self.candidate(features, training=training)
        if self.joint is None:
            return ops.sum(q * c, axis=-1)
        return ops.squeeze(self.joint(ops.concatenate([q, c], axis=1), training=training), -1)

    def penalty(self, features: Mapping[str, Any]) -> Any:
        """Return `l2 / 2 (|q|² + |c|²)` of each row, float32 `(batch_size,)`."""
        if not self.l2:
            return 0.0
        sides = (self.query(features), self.candidate(features))
        return 0.5 * self.l2 * sum(ops.sum(ops.square(side), axis=-1) for side in sides)
