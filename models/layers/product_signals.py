"""The product layer of a product-based network."""

from __future__ import annotations

from typing import Any, Literal

import keras
import keras_rs
from keras import ops

Products = Literal["inner", "outer"]


@keras.saving.register_keras_serializable(package="shortlist")
class ProductSignals(keras.layers.Layer):
    """The field vectors side by side, and the products of their pairs.

        inner:  output = [v_1, .., v_F, v_1·v_2, v_1·v_3, .., v_(F-1)·v_F]
        outer:  output = [v_1, .., v_F, s s' / F],   s = sum_i v_i,   so s s' sums the outer products of all pairs

    A dense layer on the output computes the paper's l_z + l_p + b. The paper's inner products include those of a field
    with itself, these do not. `outer` is the paper's superposition; its single products v_i v_j' would be
    `F (F - 1) / 2` times as many numbers. Divided by F, which the dense layer can undo, the products of many fields do
    not start by drowning the vectors.

    Args:
      products: `inner` or `outer`.

    Call arguments:
      vectors: float32 `(batch_size, num_fields, embedding_dim)`.

    Returns:
      float32 `(batch_size, num_fields * embedding_dim + p)`; p is `num_fields (num_fields - 1) / 2` for `inner` and
      `embedding_dim²` for `outer`.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)
      >>> ProductSignals("inner")(vectors).numpy().tolist()
      [[1.0, 2.0, 3.0, 4.0, 11.0]]
      >>> ProductSignals("outer")(vectors).numpy().tolist()  # s = [4, 6]
      [[1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 12.0, 18.0]]

    Reference:
      Qu et al.: Product-based neural networks for user response prediction, 2016, https://arxiv.org/abs/1611.00144
    """

    def __init__(self, products: Products, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.products = products
        self.inner_products = keras_rs.layers.DotInteraction() if products == "inner" else None

    def call(self, vectors: Any) -> Any:
        """Return linear and product signals."""
        num_fields, dim = vectors.shape[1], vectors.shape[2]
        linear = ops.reshape(vectors, (-1, num_fields * dim))
        if self.inner_products is not None:
            products = self.inner_products(ops.unstack(vectors, axis=1))
        else:
            total = ops.sum(vectors, axis=1)
            products = ops.reshape(total[:, :, None] * total[:, None, :] / num_fields, (-1, dim * dim))
        return ops.concatenate([linear, products], axis=1)

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(batch_size, number of signals)`."""
        num_fields, dim = int(vectors_shape[1] or 0), int(vectors_shape[2] or 0)
        products = num_fields * (num_fields - 1) // 2 if self.products == "inner" else dim * dim
        return (vectors_shape[0], num_fields * dim + products)
