"""A ranking model made of two towers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


class JointTowersModel(keras.Model):
    """A layer a side, and what they say together.

        without `joint`:  logit = q·c
        with it:          logit = joint([q, c])

    Args:
      query: layer that maps the features to `(batch_size, dim)`.
      candidate: the same for the items.
      joint: layer that maps both side by side to `(batch_size, 1)`, or None.
    """

    def __init__(
        self,
        query: keras.layers.Layer,
        candidate: keras.layers.Layer,
        joint: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.candidate = candidate
        self.joint = joint

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the logit of each row, float32 `(batch_size,)`."""
        q, c = self.query(features, training=training), self.candidate(features, training=training)
        if self.joint is None:
            return ops.sum(q * c, axis=-1)
        return ops.squeeze(self.joint(ops.concatenate([q, c], axis=1), training=training), -1)
