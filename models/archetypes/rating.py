"""A recommender that predicts the rating of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


class RatingModel(keras.Model):
    """A prediction around the mean rating of train, which training sets before the first step.

    A subclass defines `deviation`, how far a row's rating is from that mean.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean_rating = self.add_weight((), "zeros", trainable=False, name="mean_rating")

    def deviation(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return rating minus mean rating, float32 `(batch_size,)`."""
        raise NotImplementedError

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the predicted rating of each row, float32 `(batch_size,)`."""
        return self.mean_rating + self.deviation(features, training=training)
