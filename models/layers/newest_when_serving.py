"""The age of a training example, taken out when serving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


class NewestWhenServing(keras.layers.Layer):
    """Replace the time of an event by that of the newest event trained on, except in training.

        training:  output = layer(features)
        serving:   output = layer(features with features[time] = max over training of features[time])

    What was chosen depends on when; a model that sees the time can tell today's taste from last year's, and is asked
    about today. The paper's example age is the newest time minus the event's, which a bias makes the same.

    Args:
      layer: maps the features to vectors.
      time: name of a standardized numeric feature; its maximum is therefore at least 0, the value at first.

    Call arguments:
      features: transformed features by name.

    Returns:
      what `layer` returns.

    Reference:
      Covington, Adams, Sargin: Deep neural networks for YouTube recommendations, 2016, section 3.3,
      https://doi.org/10.1145/2959100.2959190
    """

    def __init__(self, layer: keras.layers.Layer, time: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self.time = time
        self.newest = self.add_weight((), "zeros", trainable=False, name="newest")

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the layer's outputs."""
        times = features[self.time]
        if training:
            self.newest.assign(ops.maximum(self.newest, ops.max(times)))
        else:
            features = {**features, self.time: ops.zeros_like(times) + self.newest}
        return self.layer(features)
