"""A layer that sometimes does not get to see one of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


class WithheldField(keras.layers.Layer):
    """Empty a field of ids in a share of the training rows, so that the layer behind it also answers without it.

    Args:
      layer: maps the features to `(batch_size, dim)`.
      field: name of a list of ids, int64 `(batch_size, length)`.
      share: of the training rows, 0 to 1.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, dim)`.
    """

    def __init__(self, layer: keras.layers.Layer, field: str, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self.field = field
        self.share = share
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the layer's vectors."""
        if training and self.share:
            ids = features[self.field]
            kept = keras.random.uniform((ops.shape(ids)[0], 1), seed=self.seed_generator) >= self.share
            features = {**features, self.field: ids * ops.cast(kept, ids.dtype)}
        return self.layer(features)  # Keras hands `training` on to the layers that ask for it.
