"""Feature crosses of bounded degree."""

from __future__ import annotations

from typing import Any, Literal

import keras
import keras_rs
from keras import ops

Version = Literal["v1", "v2"]


@keras.saving.register_keras_serializable(package="shortlist")
class CrossNetwork(keras.layers.Layer):
    """Cross layers one after the other: after L of them, products of up to L + 1 inputs.

        v1:                      x_(l+1) = x_0 (x_l·w_l) + b_l + x_l
        v2:                      x_(l+1) = x_0 * (W_l x_l + b_l) + x_l
        v2 with projection_dim:  W_l = U_l V_l,   of that rank

    Args:
      num_layers: cross layers.
      version: `v1` has a vector a layer, `v2` a matrix.
      projection_dim: rank of the matrices of `v2`; None: full.

    Call arguments:
      inputs: float32 `(batch_size, num_inputs)`.

    Returns:
      float32 `(batch_size, num_inputs)`.

    Example:
      >>> import numpy as np
      >>> layer = CrossNetwork(1, "v1")
      >>> x = np.array([[1.0, 2.0]], np.float32)
      >>> _ = layer(x)
      >>> _ = layer.kernels[0].assign([[3.0], [4.0]])
      >>> layer(x).numpy().tolist()  # x (1*3 + 2*4) + 0 + x
      [[12.0, 24.0]]

    Reference:
      Wang et al.: Deep & cross network, 2017, equation (3), https://arxiv.org/abs/1708.05123; v2: DCN V2, 2020,
      https://arxiv.org/abs/2008.13535
    """

    def __init__(self, num_layers: int, version: Version, projection_dim: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.version = version
        self.projection_dim = projection_dim
        self.crosses = (
            [keras_rs.layers.FeatureCross(projection_dim=projection_dim) for _ in range(num_layers)]
            if version == "v2"
            else []
        )

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Create the vectors of v1."""
        width = inputs_shape[1]
        numbers = range(self.num_layers) if self.version == "v1" else ()
        self.kernels = [self.add_weight((width, 1), "glorot_uniform", name=f"kernel_{i}") for i in numbers]
        self.biases = [self.add_weight((width,), "zeros", name=f"bias_{i}") for i in numbers]

    def call(self, inputs: Any) -> Any:
        """Return the last layer's outputs."""
        x = inputs
        for cross in self.crosses:
            x = cross(inputs, x)
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            x = inputs * ops.matmul(x, kernel) + bias + x
        return x

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the inputs."""
        return inputs_shape
