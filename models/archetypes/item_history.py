"""A retrieval model that knows a user by the item tower's vectors of the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel
from models.feature_space import Field
from models.layers.dense_stack import DenseStack
from models.layers.dense_tower import DenseTower
from models.layers.pooling import MaskedPooling, Pooling


class ItemHistoryModel(RetrievalModel):
    """Both sides begin with the same item tower: the candidate's own, and the pooled one of the items in the history.

        h = pool_t tower(item_t),   query = network([h, other query fields])
        score = query·tower(candidate) / temperature

    Training brings the catalogue before the first step (`begin`), so that gradients reach the tower through the
    history too: a step encodes the whole catalogue once. At last the items' vectors are kept by id (`finish`). All
    vectors are scaled to length 1. Ids of the history that name no item of the catalogue count for nothing.

    Args:
      history: the sequence of item ids.
      item: field of the item's id, of the history's vocabulary.
      item_fields: what the item tower looks at.
      query_fields: of the query beside the history, through one linear layer; may be empty.
      embedding_dim: length of every token's vector and of both sides' outputs.
      item_hidden_units: ReLU layers of the item tower.
      query_hidden_units: ReLU layers of the query's network.
      pooling: how the history's vectors become one.
      temperature: divides the cosine.
      dropout: share of the hidden values set to 0 in training.
    """

    def __init__(
        self,
        history: Field,
        item: Field,
        item_fields: Sequence[Field],
        query_fields: Sequence[Field],
        embedding_dim: int,
        item_hidden_units: Sequence[int],
        query_hidden_units: Sequence[int],
        pooling: Pooling,
        temperature: float,
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.history = history
        self.item = item
        self.temperature = temperature
        self.tower = DenseTower(item_fields, embedding_dim, item_hidden_units, embedding_dim, dropout=dropout)
        self.pool = MaskedPooling(pooling)
        self.others = DenseTower(query_fields, embedding_dim, (), embedding_dim) if query_fields else None
        self.network = DenseStack(query_hidden_units, embedding_dim, dropout=dropout)
        # By id of the vocabulary; the last number says whether the id names an item.
        self.kept = self.add_weight(
            (history.vocabulary_size, embedding_dim + 1), "zeros", trainable=False, name="item_vectors"
        )
        self.items: dict[str, Any] | None = None
        self.places = np.zeros(0, np.int32)

    def begin(self, rows: Features, items: Features) -> None:
        """Take the catalogue, and where in it each id of the vocabulary is."""
        self.items = {name: ops.convert_to_tensor(values) for name, values in items.items()}
        tokens = np.asarray(items[self.item.name])
        known = np.flatnonzero(tokens > self.history.num_oov)
        # One place behind the catalogue is a row of zeros.
        self.places = np.full(self.history.vocabulary_size, len(tokens), np.int32)
        self.places[tokens[known]] = known

    def finish(self) -> None:
        """Keep the items' vectors by id."""
        self.kept.assign(self._by_id(training=False))
        self.items = None

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the queries' vectors, of length `1 / temperature`."""
        table = ops.convert_to_tensor(self.kept) if self.items is None else self._by_id(training)
        ids = features[self.history.name]
        inside = ops.logical_and(ids > 0, ids < self.history.vocabulary_size)
        found = ops.take(table, ops.where(inside, ids, ops.zeros_like(ids)), axis=0)
        parts = [self.pool(found[..., :-1], ops.logical_and(inside, found[..., -1] > 0))]
        if self.others is not None:
            parts.append(self.others(features))
        return ops.normalize(self.network(ops.concatenate(parts, axis=1), training=training)) / self.temperature

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' vectors, of length 1."""
        return ops.normalize(self.tower(features, training=training))

    def _by_id(self, training: bool) -> Any:
        """Return each id's vector and whether there is one, float32 `(vocabulary_size, embedding_dim + 1)`."""
        assert self.items is not None
        vectors = self.encode_candidate(self.items, training)
        vectors = ops.concatenate([vectors, ops.ones_like(vectors[:, :1])], axis=1)
        return ops.take(ops.pad(vectors, ((0, 1), (0, 0))), self.places, axis=0)
