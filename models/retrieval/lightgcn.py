"""Light graph convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register
from settings.tuning import Between, Choice, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.training import Loss


@register
class LightGcn(ModelParams):
    """User and item vectors, averaged with those of their neighbours in the graph of who chose what."""

    name: Literal["lightgcn"] = "lightgcn"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = "He et al. 2020, LightGCN, https://arxiv.org/abs/2002.02126"
    needs: ClassVar[tuple[str, ...]] = ("categorical",)
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")
    search: ClassVar[SearchSpace] = {
        "num_layers": Choice(values=(1, 2, 3)),
        "l2": Between(low=1e-6, high=1e-2, log=True),
    }

    embedding_dim: int = Field(64, ge=1, description="Length of user and item vectors.")
    num_layers: int = Field(3, ge=0, description="Convolutions; each step of training goes through the whole graph.")
    l2: float = Field(1e-4, ge=0, description="lambda in lambda/2 (|u|² + |i|²) of layer 0, added to a row's loss.")

    side_information: bool = Field(
        False,
        description="All other features of users and items add to their vectors of layer 0, and speak for those that "
        "train did not show.",
    )

    def auto_loss(self) -> Loss:
        """Return the paper's loss."""
        return "bpr"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.graph import GraphModel

        user, item = space.user_and_item(self.name)
        user_sides = [field for field in space.query() if field != user] if self.side_information else []
        item_sides = [field for field in space.candidate() if field != item] if self.side_information else []
        return GraphModel(user, item, self.embedding_dim, self.num_layers, self.l2, user_sides, item_sides)
