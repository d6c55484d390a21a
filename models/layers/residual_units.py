"""Residual units one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class ResidualUnits(keras.layers.Layer):
    """The cascade of Deep Crossing: `x <- relu(x + W2 relu(W1 x + b1) + b2)` for each unit, then dropout.

    Args:
      hidden_units: width of the inner layer of each unit.
      dropout: share of each unit's outputs set to 0 in training.

    Call arguments:
      inputs: float32 `(batch_size, num_inputs)`.

    Returns:
      float32 `(batch_size, num_inputs)`.

    Example:
      >>> import numpy as np
      >>> ResidualUnits([8, 4])(np.ones((2, 3), np.float32)).shape
      TensorShape([2, 3])

    Reference:
      Shan et al.: Deep Crossing, 2016, section 4.3, https://doi.org/10.1145/2939672.2939704
    """

    def __init__(self, hidden_units: Sequence[int], dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        self.drop = keras.layers.Dropout(dropout)

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Create the units, once the width is known."""
        width = int(inputs_shape[1] or 0)
        self.inner = [keras.layers.Dense(units, "relu") for units in self.hidden_units]
        self.outer = [keras.layers.Dense(width) for _ in self.hidden_units]
        for inner, outer in zip(self.inner, self.outer, strict=True):
            inner.build(inputs_shape)
            outer.build((inputs_shape[0], inner.units))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the last unit's outputs."""
        for inner, outer in zip(self.inner, self.outer, strict=True):
            inputs = self.drop(ops.relu(inputs + outer(inner(inputs))), training=training)
        return inputs

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs."""
        return inputs_shape
