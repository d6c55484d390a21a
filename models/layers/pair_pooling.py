"""The products of all pairs of field vectors, pooled by attention."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np
from keras import ops

PairMode = Literal["att", "avg", "max"]


@keras.saving.register_keras_serializable(package="shortlist")
class PairPooling(keras.layers.Layer):
    """Element-wise products p_ij = v_i * v_j of all pairs i < j, made one vector.

        att:  output = sum_ij a_ij p_ij,   a = softmax over the pairs of h·relu(W p_ij + b)
        avg:  output = mean_ij p_ij
        max:  output = max_ij p_ij, number by number

    Args:
      mode: `att`, `avg` or `max`; the paper's is `att`.
      attention_units: length of h.
      dropout: share of the output set to 0 in training.

    Call arguments:
      vectors: float32 `(batch_size, num_fields, embedding_dim)`, of at least two fields.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[1.0, 2.0], [3.0, -4.0], [5.0, 6.0]]], np.float32)
      >>> PairPooling("max")(vectors).numpy().tolist()  # of 3 -8, 5 12, 15 -24
      [[15.0, 12.0]]

    Reference:
      Xiao et al.: Attentional factorization machines, 2017, https://arxiv.org/abs/1708.04617
    """

    def __init__(self, mode: PairMode, attention_units: int = 8, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.attention = keras.layers.Dense(attention_units, "relu")
        self.weigh = keras.layers.Dense(1, use_bias=False)
        self.drop = keras.layers.Dropout(dropout)

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Number the pairs, and create the attention."""
        first, second = np.triu_indices(int(vectors_shape[1] or 0), k=1)
        self.first, self.second = first.astype(np.int32), second.astype(np.int32)
        if self.mode == "att":
            self.attention.build((vectors_shape[0], vectors_shape[2]))
            self.weigh.build((vectors_shape[0], self.attention.units))

    def call(self, vectors: Any, training: bool = False) -> Any:
        """Return the pooled products."""
        products = ops.take(vectors, self.first, axis=1) * ops.take(vectors, self.second, axis=1)
        if self.mode == "avg":
            pooled = ops.mean(products, axis=1)
        elif self.mode == "max":
            pooled = ops.max(products, axis=1)
        else:
            weights = ops.softmax(self.weigh(self.attention(products)), axis=1)  # (batch_size, num_pairs, 1)
            pooled = ops.sum(weights * products, axis=1)
        return self.drop(pooled, training=training)

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape without the fields."""
        return (vectors_shape[0], vectors_shape[2])
