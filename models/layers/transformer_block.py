"""A transformer block that looks both ways."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shortlist")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a position-wise layer, each followed by a residual and a norm.

        y = LN(x + dropout(attention(x)))      every position sees all that are not padding
        z = LN(y + dropout(W2 leaky_relu(W1 y + b1) + b2))
        output = z * mask

    Args:
      num_heads: attention heads; each is `embedding_dim / num_heads` wide, at least 1.
      dropout: share of each branch's outputs set to 0 in training.

    Call arguments:
      inputs: float32 `(batch_size, length, embedding_dim)`.
      mask: bool `(batch_size, length)`, False for padding; every row has a position that is not.

    Returns:
      float32 `(batch_size, length, embedding_dim)`; zeros at padding.

    Reference:
      Chen et al.: Behavior sequence transformer, 2019, equations (4) to (6), https://arxiv.org/abs/1905.06874
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
        self.attention = keras.layers.MultiHeadAttention(self.num_heads, max(dim // self.num_heads, 1))
        self.attention.build(inputs_shape, inputs_shape)
        self.inner = keras.layers.Dense(dim, "leaky_relu", name="inner")
        self.outer = keras.layers.Dense(dim, name="outer")
        for layer in (self.inner, self.outer, self.attention_norm, self.feed_forward_norm):
            layer.build(inputs_shape)

    def call(self, inputs: Any, mask: Any, training: bool = False) -> Any:
        """Return the block's outputs."""
        attended = self.attention(inputs, inputs, attention_mask=mask[:, None, :])
        y = self.attention_norm(inputs + self.drop(attended, training=training))
        z = self.feed_forward_norm(y + self.drop(self.outer(self.inner(y)), training=training))
        return z * ops.cast(mask, z.dtype)[..., None]

    def compute_output_shape(self, inputs_shape: Any, mask_shape: Any = None) -> Any:
        """Return the shape of the inputs."""
        return inputs_shape
