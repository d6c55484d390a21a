"""Factorization with dense layers on each side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class MfDnn(ModelParams):
    """History and user features through dense layers, item features through others, an inner product between them.

    The item id is one feature of the candidate, and an unknown one has the vector of its OOV bucket; without the
    feature, items are told apart by their metadata alone.
    """

    name: Literal["mf_dnn"] = "mf_dnn"
    task: ClassVar[Task] = "rating"
    paper: ClassVar[str] = (
        "Koren, Bell, Volinsky 2009, Matrix factorization techniques, https://doi.org/10.1109/MC.2009.263, "
        "with dense layers as in Huang et al. 2013, DSSM, https://doi.org/10.1145/2505515.2505665"
    )
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    embedding_dim: int = Field(32, ge=1, description="Length of every token's vector and of both sides' outputs.")
    query_hidden_units: tuple[int, ...] = Field((64,), description="ReLU layers of the user's side.")
    candidate_hidden_units: tuple[int, ...] = Field((64,), description="ReLU layers of the item's side.")
    pooling: Literal["sum", "mean", "sqrtn", "recency"] = Field("mean", description="How lists become one vector.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers_rating import TowersRatingModel

        return TowersRatingModel(*self.towers_of(space))

    def towers_of(self, space: FeatureSpace) -> tuple[keras.layers.Layer, keras.layers.Layer]:
        """Return the layers of both sides."""
        from models.layers.dense_tower import DenseTower
        from models.layers.with_one import WithOne

        dim, pooling, dropout = self.embedding_dim, self.pooling, self.dropout
        query = DenseTower(space.query(), dim, self.query_hidden_units, dim, pooling, dropout)
        candidate = DenseTower(space.candidate(), dim, self.candidate_hidden_units, dim + 1, pooling, dropout)
        return WithOne(query), candidate
