"""Matrix factorization with the user as the items of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register
from settings.tuning import Between, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class MfHistory(ModelParams):
    """Pooled vectors of the items rated before, times the item's vector, plus the item's bias; needs no user id."""

    name: Literal["mf_history"] = "mf_history"
    task: ClassVar[Task] = "rating"
    paper: ClassVar[str] = (
        "Kabbur, Ning, Karypis 2013, FISM, https://doi.org/10.1145/2487575.2487589, without the user's bias"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)
    search: ClassVar[SearchSpace] = {"l2": Between(low=1e-3, high=0.3, log=True)}

    embedding_dim: int = Field(32, ge=1, description="Length of the items' vectors, as past and as candidate.")
    pooling: Literal["sum", "mean", "sqrtn", "recency"] = Field(
        "sqrtn", description="How the history becomes one vector; the row's own item is never part of it."
    )
    l2: float = Field(0.01, ge=0, description="lambda in lambda/2 (|u|² + |m|² + b_m²), added to a row's loss.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers_rating import TowersRatingModel
        from models.layers.history_vector import HistoryVector
        from models.layers.id_vector import IdVector
        from models.layers.with_one import WithOne

        history, item = space.history_and_item(self.name)
        query = WithOne(HistoryVector(history, self.embedding_dim, self.pooling))
        return TowersRatingModel(query, IdVector(item, self.embedding_dim + 1), l2=self.l2)
