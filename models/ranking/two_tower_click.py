"""Two towers and dense layers that say click or no click."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class TwoTowerClick(ModelParams):
    """The tower of who asks and the tower of the row on offer, and dense layers on both.

    Negatives are what was shown and not clicked, and `training.negatives_a_click` random items a click.
    """

    name: Literal["two_tower_click"] = "two_tower_click"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = (
        "Huang et al. 2013, DSSM, https://doi.org/10.1145/2505515.2505665, with dense layers in place of the cosine"
    )
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    embedding_dim: int = Field(64, ge=1, description="Length of every token's vector and of both towers' outputs.")
    query_hidden_units: tuple[int, ...] = Field((), description="ReLU layers of the tower of who asks.")
    candidate_hidden_units: tuple[int, ...] = Field((), description="ReLU layers of the tower of the row.")
    hidden_units: tuple[int, ...] = Field((128, 64), min_length=1, description="ReLU layers on both outputs.")
    pooling: Literal["mean", "sum", "sqrtn", "recency"] = Field("mean", description="How lists become one vector.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.joint_towers import JointTowersModel
        from models.layers.dense_stack import DenseStack
        from models.layers.dense_tower import DenseTower

        dim, pooling, dropout = self.embedding_dim, self.pooling, self.dropout
        query = DenseTower(space.query(), dim, self.query_hidden_units, dim, pooling, dropout)
        candidate = DenseTower(space.candidate(), dim, self.candidate_hidden_units, dim, pooling, dropout)
        return JointTowersModel(query, candidate, DenseStack(self.hidden_units, 1, dropout=dropout))
