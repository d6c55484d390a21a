"""A transformer block that looks back only."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class CausalAttentionBlock(keras.layers.Layer):
    """Causal self-attention and a position-wise feed-forward layer, each added to the normalised inputs.

        q = LN(x)
        y = LN(q + attention(q, keys and values of x))      position t sees the positions <= t that are not padding
        z = y + dropout(W2 dropout(relu(W1 y + b1)) + b2)
        output = z * mask

    So computes the paper's published code. Its equation (8) adds to x instead, and takes keys and values of LN(x).

    Args:
      num_heads: attention heads; `embedding_dim` is divided among them.
      dropout: share of attention weights, and of the second layer's hidden and output values, set to 0 in training.

    Call arguments:
      inputs: float32 `(batch_size, length, embedding_dim)`.
      mask: bool `(batch_size, length)`, False for padding.

    Returns:
      float32 `(batch_size, length, embedding_dim)`; zeros at padding.

    Reference:
      Kang, McAuley: Self-attentive sequential recommendation, 2018, https://arxiv.org/abs/1808.09781
    """

    def __init__(self, num_heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.feed_forward_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.drop = keras.layers.Dropout(dropout)

    def build(self, inputs_shape: tuple[int, ...], mask_shape: Any = None) -> None:
        """Create the projections, once the width is known."""
        dim = inputs_shape[-1]
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` should divide the width of the inputs. Received: num_heads={self.num_heads}, width={dim}"
            )
        self.project_query = keras.layers.Dense(dim, name="query")
        self.project_key_value = keras.layers.Dense(2 * dim, name="key_value")
        self.project_out = keras.layers.Dense(dim, name="attention_output")
        self.inner = keras.layers.Dense(dim, "relu", name="inner")
        self.outer = keras.layers.Dense(dim, name="outer")
        for layer in (self.project_query, self.project_key_value, self.project_out, self.inner, self.outer):
            layer.build(inputs_shape)
        self.attention_norm.build(inputs_shape)
        self.feed_forward_norm.build(inputs_shape)

    def call(self, inputs: Any, mask: Any, training: bool = False) -> Any:
        """Return the block's outputs."""
        query = self.attention_norm(inputs)
        y = self.feed_forward_norm(query + self._attend(query, inputs, mask, training))
        hidden = self.outer(self.drop(self.inner(y), training=training))
        z = y + self.drop(hidden, training=training)
        return z * ops.cast(mask, z.dtype)[..., None]

    def _attend(self, query: Any, x: Any, mask: Any, training: bool) -> Any:
        """Return softmax(Q K' / sqrt(d_head)) V, heads side by side."""
        length, dim = x.shape[1], x.shape[2]
        heads = (self.num_heads, dim // self.num_heads)
        query = ops.reshape(self.project_query(query), (-1, length, *heads))
        both = ops.reshape(self.project_key_value(x), (-1, length, 2, *heads))
        key, value = both[:, :, 0], both[:, :, 1]  # (batch_size, length, num_heads, head_dim)
        logits = ops.einsum("bqhd,bkhd->bhqk", query, key) / (dim // self.num_heads) ** 0.5
        visible = ops.logical_and(mask[:, None, None, :], ops.tri(length, dtype="bool")[None, None])
        # A position of padding sees nothing: equal weights then, and the mask at the end removes them.
        weights = ops.softmax(ops.where(visible, logits, ops.full_like(logits, -3e4)), axis=-1)
        attended = ops.einsum("bhqk,bkhd->bqhd", self.drop(weights, training=training), value)
        return self.project_out(ops.reshape(attended, (-1, length, dim)))

    def compute_output_shape(self, inputs_shape: Any, mask_shape: Any = None) -> Any:
        """Return the shape of the inputs."""
        return inputs_shape
