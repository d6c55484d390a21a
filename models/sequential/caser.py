"""Convolutional sequence embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.training import Loss


@register
class Caser(ModelParams):
    """Filters over the last items find patterns of several in a row; each item has output weights and a bias."""

    name: Literal["caser"] = "caser"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Tang, Wang 2018, Personalized top-N sequential recommendation via convolutional sequence embedding, "
        "https://arxiv.org/abs/1809.07426"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence", "categorical")
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")

    embedding_dim: int = Field(50, ge=1, description="Length of item and user vectors.")
    max_length: int = Field(5, ge=1, description="How many of the last items are read.")
    heights: tuple[int, ...] = Field((1, 2, 3, 4, 5), min_length=1, description="Heights of the horizontal filters.")
    num_horizontal: int = Field(16, ge=1, description="Horizontal filters a height.")
    num_vertical: int = Field(4, ge=1, description="Vertical filters.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Share of the filters' outputs set to 0 in training.")

    def auto_loss(self) -> Loss:
        """Return the paper's loss."""
        return "bce"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.convolution_tower import ConvolutionTower
        from models.archetypes.towers import TowersModel
        from models.layers.id_vector import IdVector
        from models.layers.with_one import WithOne

        history, _ = space.history_and_item(self.name)
        user, item = space.user_and_item(self.name)
        query = ConvolutionTower(
            history,
            user,
            self.embedding_dim,
            self.max_length,
            self.heights,
            self.num_horizontal,
            self.num_vertical,
            self.dropout,
        )
        return TowersModel(WithOne(query), IdVector(item, 2 * self.embedding_dim + 1))
