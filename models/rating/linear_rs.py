"""A linear map of the features on each side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register
from settings.tuning import Between, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class LinearRs(ModelParams):
    """`(A x_u + sum_j p_j[x_uj])·(B z_i + sum_j q_j[z_ij])`: numbers times A or B plus the vectors of the tokens."""

    name: Literal["linear_rs"] = "linear_rs"
    task: ClassVar[Task] = "rating"
    paper: ClassVar[str] = (
        "Stern, Herbrich, Graepel 2009, Matchbox: large scale online Bayesian recommendations, "
        "https://doi.org/10.1145/1526709.1526725"
    )
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")
    search: ClassVar[SearchSpace] = {"l2": Between(low=1e-3, high=0.3, log=True)}

    embedding_dim: int = Field(32, ge=1, description="Length of the vectors on both sides.")
    pooling: Literal["sum", "mean", "sqrtn", "recency"] = Field("mean", description="How lists become one vector.")
    l2: float = Field(0.01, ge=0, description="lambda in lambda/2 (|q|² + |c|²) of both sides, added to a row's loss.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers_rating import TowersRatingModel
        from models.layers.tower import Tower

        query = Tower(space.query(), self.embedding_dim, list_pooling=self.pooling)
        candidate = Tower(space.candidate(), self.embedding_dim, list_pooling=self.pooling)
        return TowersRatingModel(query, candidate, l2=self.l2)
