"""Matrix factorization that ranks what was chosen above what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register
from settings.tuning import Between, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.training import Loss


@register
class Bpr(ModelParams):
    """User vector times item vector plus item bias, trained on pairs: chosen above not chosen."""

    name: Literal["bpr"] = "bpr"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Rendle et al. 2009, BPR, https://arxiv.org/abs/1205.2618; metric: dist is Hsieh et al. 2017, "
        "Collaborative metric learning, https://doi.org/10.1145/3038912.3052639"
    )
    needs: ClassVar[tuple[str, ...]] = ("categorical",)
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")
    search: ClassVar[SearchSpace] = {"l2": Between(low=1e-6, high=1e-2, log=True)}

    embedding_dim: int = Field(64, ge=1, description="Length of user and item vectors.")
    metric: Literal["inner", "dist"] = Field(
        "inner", description="inner: u·i + b_i; dist: -|u - i|² in the unit ball, by default with the hinge loss."
    )
    l2: float = Field(0.0, ge=0, description="lambda in lambda/2 (|u|² + |i|² + b_i²), added to a row's loss.")

    def auto_loss(self) -> Loss:
        """Return the papers' losses."""
        return "bpr" if self.metric == "inner" else "hinge"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers import TowersModel
        from models.layers.id_vector import IdVector
        from models.layers.with_one import WithOne

        user, item = space.user_and_item(self.name)
        if self.metric == "dist":
            query, candidate = IdVector(user, self.embedding_dim), IdVector(item, self.embedding_dim)
            return TowersModel(query, candidate, "distance", l2=self.l2)
        query = WithOne(IdVector(user, self.embedding_dim))
        return TowersModel(query, IdVector(item, self.embedding_dim + 1), l2=self.l2)
