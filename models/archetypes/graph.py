"""A retrieval model over the graph of who chose what."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel
from models.feature_space import Field
from models.layers.graph_propagation import propagated
from models.layers.id_vector import IdVector


class GraphModel(RetrievalModel):
    """User and item vectors, passed along the edges of the graph.

    Training brings the edges before the first step (`enter_graph`), learns the vectors of layer 0, and at last leaves
    the propagated vectors in their place (`leave_graph`): what is served is two lookups, without the graph.

    Args:
      user: field of the user's id.
      item: field of the item's id.
      embedding_dim: length of the vectors.
      num_layers: convolutions.
      l2: lambda of the penalty on the vectors of layer 0.
    """

    def __init__(self, user: Field, item: Field, embedding_dim: int, num_layers: int, l2: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.users = IdVector(user, embedding_dim)
        self.items = IdVector(item, embedding_dim)
        self.num_layers = num_layers
        self.l2 = l2
        self.edges: np.ndarray | None = None

    def enter_graph(self, features: Features) -> None:
        """Take the edges from the rows of train, each known pair once."""
        pairs = [self._known(side, np.asarray(features[side.field.name])) for side in (self.users, self.items)]
        edges = np.stack(pairs)
        self.edges = np.unique(edges[:, (edges > 0).all(axis=0)], axis=1)

    def leave_graph(self) -> None:
        """Put the propagated vectors in place of those of layer 0."""
        if self.edges is None:
            return
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
        """Return `l2 / 2 (|u|² + |i|²)` of each row's vectors of layer 0, float32 `(batch_size,)`."""
        sides = (self.users(features), self.items(features))
        return 0.5 * self.l2 * sum(ops.sum(ops.square(side), axis=-1) for side in sides)

    def _encode(self, side: IdVector, number: int, features: Features) -> Any:
        """Return one side's vectors; zeros for an id that is not known."""
        if self.edges is None:
            return side(features)
        ids = self._known(side, features[side.field.name])
        return ops.take(self._propagated()[number], ids, axis=0) * ops.cast(ids > 0, "float32")[:, None]

    def _propagated(self) -> tuple[Any, Any]:
        """Return all vectors after the convolutions."""
        assert self.edges is not None
        users, items = (ops.convert_to_tensor(side.embeddings.table) for side in (self.users, self.items))
        return propagated(users, items, self.edges[0], self.edges[1], self.num_layers)

    @staticmethod
    def _known(side: IdVector, ids: Any) -> Any:
        """Return the ids, 0 for those that are not known."""
        known = ops.logical_and(ids > side.field.num_oov, ids < side.field.vocabulary_size)
        return ops.where(known, ids, ops.zeros_like(ids))
