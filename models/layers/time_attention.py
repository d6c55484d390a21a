"""Self-attention that says what a user wants now."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class TimeAttention(keras.layers.Layer):
    """The mean over positions of self-attention, with sinusoids of time in queries and keys but not in the values.

        Q = relu((X + T) W_Q),  K = relu((X + T) W_K),   A = softmax(Q K' / sqrt(d)),   output = mean_t (A X)_t

    Padding is neither attended to nor in the mean; a row of nothing but padding gives zeros. Position 0 of T is the
    newest, at the end of the row. The paper masks the diagonal of A; here an item may attend to itself, so that a
    history of one item is that item.

    Call arguments:
      inputs: float32 `(batch_size, length, embedding_dim)`.
      mask: bool `(batch_size, length)`, False for padding.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> x = np.array([[[9.0, 9.0], [1.0, 2.0]]], np.float32)
      >>> TimeAttention()(x, np.array([[False, True]])).numpy().tolist()  # one item: itself
      [[1.0, 2.0]]

    Reference:
      Zhang et al.: Next item recommendation with self-attention, 2018, https://arxiv.org/abs/1808.06414
    """

    def build(self, inputs_shape: tuple[int | None, ...], mask_shape: Any = None) -> None:
        """Create the projections."""
        length, dim = int(inputs_shape[1] or 0), int(inputs_shape[2] or 0)
        self.query_kernel = self.add_weight((dim, dim), "glorot_uniform", name="query_kernel")
        self.key_kernel = self.add_weight((dim, dim), "glorot_uniform", name="key_kernel")
        self.time = sinusoids(length, dim)[::-1].copy()

    def call(self, inputs: Any, mask: Any) -> Any:
        """Return the pooled vectors."""
        timed = inputs + ops.cast(self.time, inputs.dtype)
        query = ops.relu(ops.matmul(timed, self.query_kernel))
        key = ops.relu(ops.matmul(timed, self.key_kernel))
        logits = ops.einsum("bqd,bkd->bqk", query, key) / inputs.shape[2] ** 0.5
        logits = ops.where(mask[:, None, :], logits, ops.full_like(logits, -3e4))
        present = ops.cast(mask, inputs.dtype)
        # The mean over the queries first: the values are then weighted once.
        share = present / ops.maximum(ops.sum(present, axis=1, keepdims=True), 1.0)
        weights = ops.einsum("bq,bqk->bk", share, ops.softmax(logits, axis=-1))
        return ops.einsum("bk,bkd->bd", weights, inputs)

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...], mask_shape: Any = None) -> Any:
        """Return the shape without the length."""
        return (inputs_shape[0], inputs_shape[2])


def sinusoids(length: int, dim: int) -> np.ndarray:
    """Return `[sin(t / 10000^(2i/dim)), cos(t / 10000^(2i/dim))]` for each position t, float32 `(length, dim)`.

    Example:
      >>> sinusoids(2, 2).round(3).tolist() == [[0.0, 1.0], [np.float32(0.841), np.float32(0.54)]]
      True
    """
    half = (dim + 1) // 2
    angles = np.arange(length)[:, None] / 10000.0 ** (2.0 * np.arange(half) / dim)[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :dim].astype(np.float32)
