"""The fields of one side to one vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.dense_stack import DenseStack
from models.layers.field_vectors import FieldVectors
from models.layers.pooling import Pooling
from models.layers.token_embedding import TokenEmbedding


class Tower(keras.layers.Layer):
    """Field vectors summed, plus an MLP of the field vectors side by side where it has hidden layers.

        output = b + sum_f v_f + MLP([v_1, .., v_F])

    The bias b alone answers for whom nothing is known: as a query it learns what such users choose.
    The sum lets an item's own vector through unchanged, which an MLP alone has to learn; a field that is dropped or out
    of vocabulary leaves the others as they are.

    Args:
      fields: at least one.
      embedding_dim: length of a field's vector and of the output.
      hidden_units: hidden layers of the MLP; none: the sum alone.
      list_pooling: how lists are pooled.
      dropout: share of the hidden values and of the output set to 0 in training.
      forgotten: name of a categorical field whose id is replaced by an OOV id in a share of the training rows.
      forgotten_share: that share.
      tables: embedding tables shared with others, by vocabulary.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, embedding_dim)`.
    """

    def __init__(
        self,
        fields: Iterable[Field],
        embedding_dim: int,
        hidden_units: Sequence[int] = (),
        list_pooling: Pooling = "mean",
        dropout: float = 0.0,
        forgotten: Field | None = None,
        forgotten_share: float = 0.0,
        tables: dict[str, TokenEmbedding] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fields = tuple(fields)
        self.vectors = FieldVectors(self.fields, embedding_dim, list_pooling, tables)
        self.stack = DenseStack(hidden_units, embedding_dim, dropout=dropout) if hidden_units else None
        self.bias = self.add_weight(shape=(embedding_dim,), initializer="zeros", name="bias")
        self.drop = keras.layers.Dropout(dropout)
        self.forgotten = forgotten
        self.forgotten_share = forgotten_share
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the vectors."""
        if training and self.forgotten is not None and self.forgotten_share:
            features = {**features, self.forgotten.name: self._forget(features[self.forgotten.name])}
        vectors = self.vectors(features)
        total = self.bias + ops.sum(vectors, axis=1)
        if self.stack is not None:
            flat = ops.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2]))
            total = total + self.stack(flat, training=training)
        return self.drop(total, training=training)

    def _forget(self, ids: Any) -> Any:
        """Return the ids, some replaced by an OOV id, so that the OOV vectors stand for an item nothing is known of."""
        num_oov = max(self.forgotten.num_oov, 1) if self.forgotten is not None else 1
        shape = ops.shape(ids)
        oov = keras.random.randint(shape, 1, num_oov + 1, seed=self.seed_generator)
        hit = keras.random.uniform(shape, seed=self.seed_generator) < self.forgotten_share
        return ops.where(hit, ops.cast(oov, ids.dtype), ids)
