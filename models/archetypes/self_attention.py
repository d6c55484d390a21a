"""A sequence model made of causal self-attention blocks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.archetypes.retrieval import Features, SequenceModel
from models.feature_space import Field
from models.layers.causal_attention import CausalAttentionBlock
from models.layers.token_embedding import TokenEmbedding

# Standard deviations of initial values.
_SMALL, _LARGE = 0.02, 0.125


class SelfAttentionModel(SequenceModel):
    """Item vectors plus position vectors, through attention blocks; the item table scores the outputs.

        x_t = dropout(c table[h_t] + position_t),   blocks,   q_t = LN(x_t),   score = q_t·table[item]

    c is sqrt(embedding_dim) with `scaled_items`, else 1.

    Args:
      history: the sequence field.
      item: the candidate's item id; of the history's vocabulary.
      embedding_dim: length of all vectors.
      num_blocks: attention blocks.
      num_heads: heads a block.
      dropout: share set to 0 in training.
      scaled_items: let items say more than positions from the start.
    """

    def __init__(
        self,
        history: Field,
        item: Field,
        embedding_dim: int,
        num_blocks: int,
        num_heads: int,
        dropout: float,
        scaled_items: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(history.name, **kwargs)
        self.item = item.name
        # Small: what an item that is rarely chosen keeps of it is noise in every list.
        self.tokens = TokenEmbedding(item.vocabulary_size, embedding_dim, scale=_SMALL, name="tokens")
        self.item_scale = embedding_dim**0.5 if scaled_items else 1.0
        positions = keras.initializers.TruncatedNormal(stddev=_SMALL if scaled_items else _LARGE)
        self.positions = self.add_weight((history.length, embedding_dim), positions, name="positions")
        self.blocks = [CausalAttentionBlock(num_heads, dropout, name=f"block_{i}") for i in range(num_blocks)]
        self.final_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.drop = keras.layers.Dropout(dropout)

    def encode_positions(self, features: Features, training: bool = False) -> Any:
        """Return each position's output; at padding the norm's bias, which answers for who has no history."""
        ids = features[self.history]
        mask = ids != 0
        # Padding stands in front, so that a history's newest item has the same position whatever its length.
        x = self.drop(self.item_scale * self.tokens(ids) + self.positions, training=training)
        x = x * ops.cast(mask, x.dtype)[..., None]
        for block in self.blocks:
            x = block(x, mask, training=training)
        return self.final_norm(x)

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' rows of the table."""
        return self.tokens(features[self.item])
