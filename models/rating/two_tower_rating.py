"""Two towers and dense layers on what they say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class TwoTowerRating(ModelParams):
    """`rho([psi(x_u), phi(z_i)])`: an MLP a side, and an MLP on both outputs side by side."""

    name: Literal["two_tower_rating"] = "two_tower_rating"
    task: ClassVar[Task] = "rating"
    paper: ClassVar[str] = (
        "He et al. 2017, Neural collaborative filtering, https://arxiv.org/abs/1708.05031, "
        "its MLP over towers of features"
    )
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    embedding_dim: int = Field(32, ge=1, description="Length of every token's vector and of both towers' outputs.")
    query_hidden_units: tuple[int, ...] = Field((64,), description="ReLU layers of the user's tower, psi.")
    candidate_hidden_units: tuple[int, ...] = Field((64,), description="ReLU layers of the item's tower, phi.")
    hidden_units: tuple[int, ...] = Field((64, 32), description="ReLU layers on both towers' outputs, rho.")
    pooling: Literal["sum", "mean", "sqrtn", "recency"] = Field("mean", description="How lists become one vector.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers_rating import TowersRatingModel
        from models.layers.dense_stack import DenseStack
        from models.layers.dense_tower import DenseTower

        dim, pooling, dropout = self.embedding_dim, self.pooling, self.dropout
        query = DenseTower(space.query(), dim, self.query_hidden_units, dim, pooling, dropout)
        candidate = DenseTower(space.candidate(), dim, self.candidate_hidden_units, dim, pooling, dropout)
        return TowersRatingModel(query, candidate, DenseStack(self.hidden_units, 1, dropout=dropout))
