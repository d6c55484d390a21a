"""Explicit interactions of field vectors, degree by degree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class CompressedInteraction(keras.layers.Layer):
    """The compressed interaction network: each layer multiplies the last one's maps with the field vectors.

        X^k_(n,d) = sum_(h,m) W^k_(n,h,m) X^(k-1)_(h,d) X^0_(m,d)
        output    = [sum_d X^1_(n,d), sum_d X^2_(n,d), ..]

    Without an activation, as the paper found best.

    Args:
      num_maps: feature maps of each layer.

    Call arguments:
      vectors: float32 `(batch_size, num_fields, embedding_dim)`.

    Returns:
      float32 `(batch_size, sum of num_maps)`.

    Example:
      >>> import numpy as np
      >>> CompressedInteraction([5, 4])(np.ones((2, 3, 7), np.float32)).shape
      TensorShape([2, 9])

    Reference:
      Lian et al.: xDeepFM, 2018, equations (6) and (8), https://arxiv.org/abs/1803.05170
    """

    def __init__(self, num_maps: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_maps = tuple(num_maps)

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Create the filters, once the number of fields is known."""
        num_fields = int(vectors_shape[1] or 0)
        below = (num_fields, *self.num_maps[:-1])
        self.filters = [
            self.add_weight((height * num_fields, maps), "glorot_uniform", name=f"filters_{i}")
            for i, (height, maps) in enumerate(zip(below, self.num_maps, strict=True))
        ]

    def call(self, vectors: Any) -> Any:
        """Return the pooled maps of all layers."""
        # The numbers d first, so that each layer is one matrix product over all pairs (h, m).
        fields = ops.transpose(vectors, (0, 2, 1))  # (batch_size, embedding_dim, num_fields)
        maps, pooled = fields, []
        for filters in self.filters[:-1]:
            pairs = maps[:, :, :, None] * fields[:, :, None, :]
            pairs = ops.reshape(pairs, (-1, maps.shape[1], maps.shape[2] * fields.shape[2]))
            maps = ops.matmul(pairs, filters)  # (batch_size, embedding_dim, maps of this layer)
            pooled.append(ops.sum(maps, axis=1))
        # Of the last layer only sums over d are asked for, and its products can be summed before its filters: an
        # embedding_dim-th of the work.
        products = ops.matmul(ops.transpose(maps, (0, 2, 1)), fields)  # (batch_size, h, m)
        products = ops.reshape(products, (-1, maps.shape[2] * fields.shape[2]))
        pooled.append(ops.matmul(products, self.filters[-1]))
        return ops.concatenate(pooled, axis=1)

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(batch_size, number of maps)`."""
        return (vectors_shape[0], sum(self.num_maps))
