"""A retrieval model over the graph of who chose what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel
from models.feature_space import Field
from models.layers.field_vectors import FieldVectors
from models.layers.graph_propagation import propagated
from models.layers.token_embedding import TokenEmbedding


class GraphSide(keras.layers.Layer):
    """The users or the items: vectors of ids, and vectors of what else is known of them.

        known id:    table[id],  with `sides` in layer 0 also + sum of the side fields' vectors
        unknown id:  sum of the side fields' vectors, zeros without any

    Args:
      field: of the id.
      embedding_dim: length of the vectors.
      sides: fields of the same side that belong to the user or item; may be empty.
    """

    def __init__(self, field: Field, embedding_dim: int, sides: Sequence[Field] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.field = field
        self.embeddings = TokenEmbedding(field.vocabulary_size, embedding_dim, scale=0.1)
        self.embeddings.build((None,))
        self.sides = tuple(sides)
        self.side_vectors = FieldVectors(self.sides, embedding_dim) if sides else None
        self.side_features: dict[str, np.ndarray] = {}

    def known(self, features: Mapping[str, Any]) -> Any:
        """Return the ids, 0 for those that are not known."""
        ids = features[self.field.name]
        inside = ops.logical_and(ids > self.field.num_oov, ids < self.field.vocabulary_size)
        return ops.where(inside, ids, ops.zeros_like(ids))

    def remember(self, features: Mapping[str, Any]) -> None:
        """Keep the side features of each id; the last row of an id counts."""
        ids = np.asarray(self.known(features))
        for field in self.sides:
            values = np.asarray(features[field.name])
            self.side_features[field.name] = np.zeros((self.field.vocabulary_size, *values.shape[1:]), values.dtype)
            self.side_features[field.name][ids] = values

    def beginning(self) -> Any:
        """Return the vectors of layer 0 of all ids, float32 `(vocabulary_size, embedding_dim)`."""
        table = ops.convert_to_tensor(self.embeddings.table)
        return table if self.side_vectors is None else table + ops.sum(self.side_vectors(self.side_features), axis=1)

    def vectors(self, features: Mapping[str, Any], table: Any) -> Any:
        """Return each row's vector: of `table` where the id is known, else of the side fields."""
        ids = self.known(features)
        known = ops.cast(ids > 0, "float32")[:, None]
        found = ops.take(table, ids, axis=0) * known
        if self.side_vectors is None:
            return found
        return found + ops.sum(self.side_vectors(features), axis=1) * (1.0 - known)

    def call(self, features: Mapping[str, Any]) -> Any:
        """Return each row's vector, float32 `(batch_size, embedding_dim)`, without the graph."""
        return self.vectors(features, ops.convert_to_tensor(self.embeddings.table))


class GraphModel(RetrievalModel):
    """User and item vectors, passed along the edges of the graph.

    Training brings the edges before the first step (`begin`), learns the vectors of layer 0, and at last leaves the
    propagated vectors in their place (`finish`): what is served is two lookups, without the graph. With side fields, a
    user or item that train did not show is known by these.

    Args:
      user: field of the user's id.
      item: field of the item's id.
      embedding_dim: length of the vectors.
      num_layers: convolutions.
      l2: lambda of the penalty on the vectors of layer 0.
      user_sides: fields of the users whose vectors are added in layer 0.
      item_sides: fields of the items.
    """

    def __init__(
        self,
        user: Field,
        item: Field,
        embedding_dim: int,
        num_layers: int,
        l2: float,
        user_sides: Sequence[Field] = (),
        item_sides: Sequence[Field] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.users = GraphSide(user, embedding_dim, user_sides)
        self.items = GraphSide(item, embedding_dim, item_sides)
        self.num_layers = num_layers
        self.l2 = l2
        self.edges: np.ndarray | None = None

    def begin(self, rows: Features, items: Features) -> None:
        """Take the edges from the rows of train, each known pair once, and the side features."""
        edges = np.stack([np.asarray(side.known(rows)) for side in (self.users, self.items)])
        self.edges = np.unique(edges[:, (edges > 0).all(axis=0)], axis=1)
        self.users.remember(rows)
        self.items.remember(items)

    def finish(self) -> None:
        """Put the propagated vectors in place of those of layer 0."""
        for side, vectors in zip((self.users, self.items), self._propagated(), strict=True):
            side.embeddings.table.assign(vectors)
        self.edges = None

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the users' vectors."""
        return self._encode(self.users, 0, features)

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' vectors."""
        return self._encode(self.items, 1, features)

    def penalty(self, features: Features) -> Any:
        """Return `l2 / 2 (|u|² + |i|²)` of each row's ids in layer 0, float32 `(batch_size,)`."""
        sides = (ops.take(side.embeddings.table, side.known(features), axis=0) for side in (self.users, self.items))
        return 0.5 * self.l2 * sum(ops.sum(ops.square(side), axis=-1) for side in sides)

    def _encode(self, side: GraphSide, number: int, features: Features) -> Any:
        """Return one side's vectors."""
        return side(features) if self.edges is None else side.vectors(features, self._propagated()[number])

    def _propagated(self) -> tuple[Any, Any]:
        """Return all vectors after the convolutions."""
        assert self.edges is not None
        return propagated(self.users.beginning(), self.items.beginning(), self.edges[0], self.edges[1], self.num_layers)
