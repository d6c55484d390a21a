"""One number at the end of a branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class WithLogit(keras.layers.Layer):
    """Layers one after the other, and a dense layer to one number behind them.

    Args:
      layers: at least one; the first takes the branch's inputs.

    Call arguments:
      inputs: what the first layer takes.

    Returns:
      float32 `(batch_size, 1)`.
    """

    def __init__(self, *layers: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain: Sequence[keras.layers.Layer] = [*layers, keras.layers.Dense(1)]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the logit."""
        for layer in self.chain:
            inputs = layer(inputs)  # Keras hands `training` on to the layers that ask for it.
        return inputs
