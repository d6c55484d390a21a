"""An image to a vector."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class ImageEncoder(keras.layers.Layer):
    """Three convolutions that halve height and width, the mean over all places, a linear layer.

    For pictures that a few thousand rows can teach it; vectors of a network that was trained on more go into a `vector`
    feature. No image, all zeros, gives what the biases give.

    Args:
      embedding_dim: length of the output.
      filters: of each convolution.

    Call arguments:
      images: float32 `(batch_size, height, width, 3)`, 0 to 1.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> ImageEncoder(4)(np.zeros((2, 8, 8, 3), np.float32)).shape
      TensorShape([2, 4])
    """

    def __init__(self, embedding_dim: int, filters: tuple[int, ...] = (8, 16, 32), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.filters = tuple(filters)
        self.convolutions = [keras.layers.Conv2D(n, 3, strides=2, padding="same", activation="relu") for n in filters]
        self.projection = keras.layers.Dense(embedding_dim)

    def call(self, images: Any) -> Any:
        """Return the vectors."""
        x = images - 0.5
        for convolution in self.convolutions:
            x = convolution(x)
        return self.projection(ops.mean(x, axis=(1, 2)))

    def compute_output_shape(self, images_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(batch_size, embedding_dim)`."""
        return (images_shape[0], self.embedding_dim)
