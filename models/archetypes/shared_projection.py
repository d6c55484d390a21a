"""A ranking model of two sides that end in one projection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


class SharedProjectionModel(keras.Model):
    """Id vector and metadata of each side through the same projection, and an inner product.

        z = relu(W_f [id, metadata] + b_f) on each side,   logit = z_query·z_candidate

    Args:
      query_id: layer that maps the features to `(batch_size, d / 2)`.
      query_metadata: layer that maps them to `(batch_size, d)`.
      candidate_id: as for the query.
      candidate_metadata: as for the query.
      dim: d.
    """

    def __init__(
        self,
        query_id: keras.layers.Layer,
        query_metadata: keras.layers.Layer,
        candidate_id: keras.layers.Layer,
        candidate_metadata: keras.layers.Layer,
        dim: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query_id = query_id
        self.query_metadata = query_metadata
        self.candidate_id = candidate_id
        self.candidate_metadata = candidate_metadata
        self.projection = keras.layers.Dense(dim, "relu")

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the logit of each row, float32 `(batch_size,)`."""
        query = ops.concatenate([self.query_id(features), self.query_metadata(features)], axis=1)
        candidate = ops.concatenate([self.candidate_id(features), self.candidate_metadata(features)], axis=1)
        return ops.sum(self.projection(query) * self.projection(candidate), axis=1)
