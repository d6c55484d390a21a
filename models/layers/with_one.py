"""A constant beside a vector, so that an inner product has a bias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


class WithOne(keras.layers.Layer):
    """Append 1 to a layer's vectors: the last number of the other side's vectors is then a bias of the score.

        [q, 1]·[c, b] = q·c + b

    Args:
      layer: maps the features to `(batch_size, dim)`.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, dim + 1)`.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the longer vectors."""
        vectors = self.layer(features)  # Keras hands `training` on to the layers that ask for it.
        return ops.concatenate([vectors, ops.ones_like(vectors[:, :1])], axis=1)
