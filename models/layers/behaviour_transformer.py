"""Self-attention over what a user did last and what is on offer now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.field_vectors import FieldVectors
from models.layers.token_embedding import TokenEmbedding
from models.layers.transformer_block import TransformerBlock


class BehaviourTransformer(keras.layers.Layer):
    """The history's last items and the target item through transformer blocks, then a network with all other fields.

        x_t = table[id_t] + position_t,   x -> blocks,   output = network([x_1, .., x_T, x_target, other fields])

    The paper's position is the time between an event and now; `gaps` holds it in buckets. Without it, the position is
    the place in the history. Padding is not attended to and its outputs are zeros.

    Args:
      history: the sequence of item ids, the newest last.
      item: the candidate's item id, of the history's vocabulary.
      others: all other fields; may be empty.
      embedding_dim: length of all vectors.
      max_length: how many of the last items are read.
      num_blocks: transformer blocks.
      num_heads: attention heads a block.
      network: maps everything side by side to `(batch_size, 1)`.
      gaps: sequence of bucketized times, one a place of the history; or None.
      dropout: of the blocks.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, 1)`.

    Reference:
      Chen et al.: Behavior sequence transformer, 2019, https://arxiv.org/abs/1905.06874
    """

    def __init__(
        self,
        history: Field,
        item: Field,
        others: Sequence[Field],
        embedding_dim: int,
        max_length: int,
        num_blocks: int,
        num_heads: int,
        network: keras.layers.Layer,
        gaps: Field | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.history, self.item, self.gaps = history.name, item.name, gaps.name if gaps else ""
        self.length = min(max_length, history.length, gaps.length if gaps else history.length)
        self.tokens = TokenEmbedding(item.vocabulary_size, embedding_dim, name="tokens")
        # Position 0 is the target's own; a gap's id is never 0 where there is an item.
        num_positions = gaps.vocabulary_size if gaps else self.length + 1
        self.positions = TokenEmbedding(num_positions, embedding_dim, name="positions")
        self.others = FieldVectors(others, embedding_dim) if others else None
        self.blocks = [TransformerBlock(num_heads, dropout, name=f"block_{i}") for i in range(num_blocks)]
        self.network = network

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the logit."""
        target = features[self.item][:, None]
        ids = ops.concatenate([features[self.history][:, -self.length :], target], axis=1)
        mask = ops.concatenate([ids[:, :-1] != 0, ops.ones_like(target, "bool")], axis=1)
        x = self.tokens(ids) + self.positions(self._places(features, target))
        x = x * ops.cast(mask, x.dtype)[..., None]
        for block in self.blocks:
            x = block(x, mask, training=training)
        parts = [ops.reshape(x, (-1, x.shape[1] * x.shape[2]))]
        if self.others is not None:
            vectors = self.others(features)
            parts.append(ops.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2])))
        return self.network(ops.concatenate(parts, axis=1), training=training)

    def _places(self, features: Mapping[str, Any], target: Any) -> Any:
        """Return the position's number of each item, int64 `(batch_size or 1, length + 1)`."""
        if self.gaps:
            return ops.concatenate([features[self.gaps][:, -self.length :], ops.zeros_like(target)], axis=1)
        return ops.arange(self.length, -1, -1, dtype="int64")[None]
