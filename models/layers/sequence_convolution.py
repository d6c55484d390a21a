"""Convolutions over the last items as over an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class SequenceConvolution(keras.layers.Layer):
    """Horizontal filters of several heights with max over time, and vertical filters, side by side.

        horizontal, height h, filter f:  o_hf = max_t relu(sum_(s<h, d) F_hf[s, d] E[t + s, d] + b_hf)
        vertical, filter v:              o_vd = sum_t V_v[t] E[t, d]

    Args:
      heights: of the horizontal filters; those above the sequence's length are left out.
      num_horizontal: filters a height.
      num_vertical: filters as high as the sequence.

    Call arguments:
      inputs: float32 `(batch_size, length, embedding_dim)`, zeros at padding.

    Returns:
      float32 `(batch_size, len(heights) * num_horizontal + num_vertical * embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> layer = SequenceConvolution(heights=[1, 2, 3], num_horizontal=4, num_vertical=2)
      >>> layer(np.zeros((5, 3, 7), np.float32)).shape  # 3*4 + 2*7
      TensorShape([5, 26])

    Reference:
      Tang, Wang: Personalized top-N sequential recommendation via convolutional sequence embedding, 2018,
      https://arxiv.org/abs/1809.07426
    """

    def __init__(self, heights: Sequence[int], num_horizontal: int, num_vertical: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heights = tuple(heights)
        self.num_horizontal = num_horizontal
        self.num_vertical = num_vertical

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Create the filters, once the length is known."""
        length = int(inputs_shape[1] or 0)
        fitting = [height for height in self.heights if height <= length]
        # A filter as wide as the vectors is a one-dimensional convolution over time.
        self.horizontal = [keras.layers.Conv1D(self.num_horizontal, height, activation="relu") for height in fitting]
        for convolution in self.horizontal:
            convolution.build(inputs_shape)
        self.vertical = self.add_weight((length, self.num_vertical), "glorot_uniform", name="vertical")

    def call(self, inputs: Any) -> Any:
        """Return the filters' outputs."""
        outputs = [ops.max(convolution(inputs), axis=1) for convolution in self.horizontal]
        vertical = ops.einsum("bld,lv->bvd", inputs, ops.convert_to_tensor(self.vertical))
        outputs.append(ops.reshape(vertical, (-1, self.num_vertical * inputs.shape[2])))
        return ops.concatenate(outputs, axis=1)

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(batch_size, number of outputs)`."""
        length, dim = int(inputs_shape[1] or 0), int(inputs_shape[2] or 0)
        fitting = sum(height <= length for height in self.heights)
        return (inputs_shape[0], fitting * self.num_horizontal + self.num_vertical * dim)
