"""One tower over the watch history, and a softmax over the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class SingleTowerSoftmax(ModelParams):
    """The pooled history through dense layers; each item has output weights and a bias of its own."""

    name: Literal["single_tower_softmax"] = "single_tower_softmax"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "The candidate generation of Covington, Adams, Sargin 2016 without side features, "
        "https://doi.org/10.1145/2959100.2959190"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(64, ge=1, description="Length of the vectors of watched items.")
    hidden_units: tuple[int, ...] = Field(
        (128, 64), min_length=1, description="Dense layers; the items' output weights are as long as the last is wide."
    )
    pooling: Literal["mean", "sum", "sqrtn", "recency"] = Field("mean", description="How the history is pooled.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers import TowersModel
        from models.layers.dense_tower import DenseTower
        from models.layers.id_vector import IdVector
        from models.layers.with_one import WithOne

        history, item = space.history_and_item(self.name)
        query = DenseTower(
            [history], self.embedding_dim, self.hidden_units, list_pooling=self.pooling, dropout=self.dropout
        )
        return TowersModel(WithOne(query), IdVector(item, self.hidden_units[-1] + 1))
