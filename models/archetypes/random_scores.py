"""A retrieval model that knows nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from models.archetypes.closed_form import ClosedFormModel, Interactions
from models.archetypes.retrieval import Features
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.layers.token_embedding import TokenEmbedding


class RandomScoresModel(ClosedFormModel):
    """Random normal vectors of items, and of queries by their user.

    Queries that share the first categorical query field's id, and all queries where there is no such field, get the
    same order of items; an order shared by everyone would make the floor depend on one draw.

    Args:
      space: for the catalogue's size and the query's first categorical field.
      embedding_dim: length of the vectors.
    """

    def __init__(self, space: FeatureSpace, embedding_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        user = next((field for field in space.query() if field.kind == "categorical"), None)
        self.user = user.name if user else None
        size = user.vocabulary_size if user else 1
        self.queries = TokenEmbedding(size, embedding_dim, name="queries")
        self.queries.trainable = False
        shape = (space.num_items + 1, embedding_dim)
        self.candidates = self.add_weight(shape, "zeros", trainable=False, name="candidates")

    def fit_interactions(self, interactions: Interactions, seed: int) -> None:
        """Draw."""
        generator = np.random.default_rng(seed)
        self.queries.table.assign(generator.standard_normal(self.queries.table.shape))
        self.candidates.assign(generator.standard_normal(self.candidates.shape))

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the users' vectors."""
        index = features[CATALOGUE_INDEX]
        return self.queries(ops.zeros_like(index) if self.user is None else features[self.user])

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' vectors."""
        return ops.take(self.candidates, features[CATALOGUE_INDEX], axis=0)
