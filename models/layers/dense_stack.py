"""Dense layers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="shortlist")
class DenseStack(keras.layers.Layer):
    """An MLP: `x <- dropout(activation(W x + b))` for each hidden layer, then a linear projection if asked for.

    Args:
      hidden_units: width of each hidden layer; may be empty.
      output_units: width of a last layer without activation; None: there is none.
      activation: of the hidden layers.
      dropout: share of the hidden values set to 0 in training.

    Call arguments:
      inputs: float32 `(batch_size, num_inputs)`.

    Returns:
      float32 `(batch_size, output_units)`, or the width of the last hidden layer.

    Example:
      >>> import numpy as np
      >>> DenseStack([8, 4], output_units=1)(np.ones((2, 3), np.float32)).shape
      TensorShape([2, 1])
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        output_units: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_units = tuple(hidden_units)
        self.output_units = output_units
        self.activation = activation
        self.dropout = dropout
        self.hidden = [keras.layers.Dense(units, activation) for units in self.hidden_units]
        self.dropouts = [keras.layers.Dropout(dropout) for _ in self.hidden_units]
        self.projection = None if output_units is None else keras.layers.Dense(output_units)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the last layer's outputs."""
        for dense, drop in zip(self.hidden, self.dropouts, strict=True):
            inputs = drop(dense(inputs), training=training)
        return inputs if self.projection is None else self.projection(inputs)
