"""Several vectors a row to one."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

Pooling = Literal["mean", "sum", "sqrtn", "recency"]


@keras.saving.register_keras_serializable(package="shortlist")
class MaskedPooling(keras.layers.Layer):
    """Pool the vectors of a row, leaving padding out; a row of nothing but padding gives zeros.

        output = sum_t w_t vector_t,    m_t = 1 where present, else 0
        sum:      w_t = m_t
        mean:     w_t = m_t / sum(m)
        sqrtn:    w_t = m_t / sqrt(sum(m))
        recency:  w_t = m_t exp(b_t) / sum_s m_s exp(b_s),   b learnt, one a position, 0 at first (so: mean)

    Args:
      mode: `sum`, `mean`, `sqrtn` or `recency`. `recency` needs rows of a fixed length with the newest last.

    Call arguments:
      vectors: float32 `(batch_size, length, embedding_dim)`.
      mask: bool `(batch_size, length)`, False for padding.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[9.0], [1.0], [3.0]]], np.float32)
      >>> mask = np.array([[False, True, True]])
      >>> [float(MaskedPooling(mode)(vectors, mask)[0, 0]) for mode in ("sum", "mean", "recency")]
      [4.0, 2.0, 2.0]
    """

    def __init__(self, mode: Pooling = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def build(self, vectors_shape: tuple[int | None, ...], mask_shape: Any = None) -> None:
        """Create the position weights, where the mode learns some."""
        if self.mode == "recency":
            self.position_logits = self.add_weight((vectors_shape[1],), "zeros", name="position_logits")

    def call(self, vectors: Any, mask: Any) -> Any:
        """Return the pooled vectors."""
        weights = ops.cast(mask, vectors.dtype)
        if self.mode == "recency":
            weights = weights * ops.exp(self.position_logits)
        # einsum instead of multiply and sum: no (batch_size, length, embedding_dim) intermediate.
        total = ops.einsum("bl,bld->bd", weights, vectors)
        if self.mode == "sum":
            return total
        norm = ops.sum(weights, axis=1, keepdims=True)
        norm = ops.sqrt(norm) if self.mode == "sqrtn" else norm
        return ops.where(norm > 0, total / ops.maximum(norm, keras.config.epsilon()), ops.zeros_like(total))

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...], mask_shape: Any = None) -> Any:
        """Return the shape without the length."""
        return (vectors_shape[0], vectors_shape[2])
