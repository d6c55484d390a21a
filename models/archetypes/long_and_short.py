"""A retrieval model of what a user wants in general and what a user wants now."""

from __future__ import annotations

from typing import Any, Literal

from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel
from models.feature_space import Field
from models.layers.id_vector import IdVector
from models.layers.last_items import LastItems
from models.layers.metric import distance_candidate, distance_query, in_unit_ball
from models.layers.time_attention import TimeAttention

Metric = Literal["inner", "dist"]


class LongAndShortModel(RetrievalModel):
    """A weighted sum of two scores, as one inner product.

        dist:   score = -w |U_u - V_i|² - (1 - w) |m - X_i|²
        inner:  score = w U_u·V_i + (1 - w) m·X_i

    U and V are vectors of users and items, X the vectors of the items in the history, m the attention over the last of
    them. A user that train did not show has a U of zeros. The vectors of `dist` stay in the unit ball.

    Args:
      history: the sequence of item ids.
      user: field of the user's id.
      item: field of the item's id, of the history's vocabulary.
      embedding_dim: length of U, V and X.
      max_length: how many of the last items are read.
      long_weight: w.
      metric: `dist` or `inner`.
    """

    def __init__(
        self,
        history: Field,
        user: Field,
        item: Field,
        embedding_dim: int,
        max_length: int,
        long_weight: float,
        metric: Metric,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.item = item.name
        self.metric = metric
        self.long_weight = long_weight
        self.users = IdVector(user, embedding_dim)
        self.items = IdVector(item, embedding_dim)
        self.last_items = LastItems(history, embedding_dim, max_length)
        self.attention = TimeAttention()

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return `[w U_u, (1 - w) m]`, each as the metric needs it."""
        short = self.attention(*self.last_items(features))
        parts = (self.users(features), short)
        if self.metric == "dist":
            parts = tuple(distance_query(in_unit_ball(part)) for part in parts)
        return ops.concatenate([self.long_weight * parts[0], (1.0 - self.long_weight) * parts[1]], axis=1)

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return `[V_i, X_i]`, each as the metric needs it."""
        parts = (self.items(features), self.last_items.embeddings(features[self.item]))
        if self.metric == "dist":
            parts = tuple(distance_candidate(in_unit_ball(part)) for part in parts)
        return ops.concatenate(parts, axis=1)
