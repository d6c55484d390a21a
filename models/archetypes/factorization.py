"""A rating model made of a user vector and an item vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from models.archetypes.rating import RatingModel
from models.feature_space import Field
from models.layers.token_embedding import TokenEmbedding


class FactorizationModel(RatingModel):
    """`rating = u·m + b_u + b_m + mean rating`.

    A user or item that train did not show has a zero vector and a zero bias, so it is predicted by what is left. The
    global bias is train's mean, not learnt: with squared error and biases regularised towards 0 it is the optimum.

    Args:
      user: field of the user's id.
      item: field of the item's id.
      embedding_dim: length of u and m.
      l2: lambda of the penalty.
    """

    def __init__(self, user: Field, item: Field, embedding_dim: int, l2: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user = user
        self.item = item
        self.l2 = l2
        self.user_vectors = TokenEmbedding(user.vocabulary_size, embedding_dim, scale=0.1, name="user_vectors")
        self.item_vectors = TokenEmbedding(item.vocabulary_size, embedding_dim, scale=0.1, name="item_vectors")
        self.user_biases = TokenEmbedding(user.vocabulary_size, 1, scale=0.0, name="user_biases")
        self.item_biases = TokenEmbedding(item.vocabulary_size, 1, scale=0.0, name="item_biases")

    def deviation(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return u·m + b_u + b_m."""
        u, m, b_u, b_m = self._parts(features)
        return ops.sum(u * m, axis=-1) + ops.squeeze(b_u + b_m, -1)

    def penalty(self, features: Mapping[str, Any]) -> Any:
        """Return `l2 / 2 (|u|^2 + |m|^2 + b_u^2 + b_m^2)` of each row, float32 `(batch_size,)`."""
        return 0.5 * self.l2 * sum(ops.sum(ops.square(part), axis=-1) for part in self._parts(features))

    def _parts(self, features: Mapping[str, Any]) -> list[Any]:
        """Return u, m, b_u, b_m; zeros where the id is padding or OOV."""
        parts = []
        for field, tables in (
            (self.user, (self.user_vectors, self.user_biases)),
            (self.item, (self.item_vectors, self.item_biases)),
        ):
            ids = features[field.name]
            known = ops.logical_and(ids > field.num_oov, ids < field.vocabulary_size)
            parts += [table(ids) * ops.cast(known, self.compute_dtype)[:, None] for table in tables]
        u, b_u, m, b_m = parts
        return [u, m, b_u, b_m]
