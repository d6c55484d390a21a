"""eBay's personalized retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.training import Loss


@register
class EbayTwoTower(ModelParams):
    """An item tower over title, aspects and category; a user tower over that tower's vectors of the recent items."""

    name: Literal["ebay_two_tower"] = "ebay_two_tower"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Wang, Brovman, Madhvanath 2021, Personalized embedding-based e-commerce recommendations at eBay, "
        "https://arxiv.org/abs/2102.06156"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(64, ge=1, description="Length of every token's vector and of both towers' outputs.")
    candidate_hidden_units: tuple[int, ...] = Field((128,), description="ReLU layers of the item tower.")
    query_hidden_units: tuple[int, ...] = Field((128,), description="ReLU layers of the user tower.")
    pooling: Literal["mean", "sum", "sqrtn", "recency"] = Field("mean", description="How the history is pooled.")
    temperature: float = Field(0.1, gt=0, description="The cosine of both towers is divided by it.")
    use_item_id: bool = Field(True, description="Whether the item's id is one of the item tower's features.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")

    def auto_loss(self) -> Loss:
        """Return the paper's loss."""
        return "sampled_softmax"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.item_history import ItemHistoryModel

        history, item = space.history_and_item(self.name)
        item_fields = [field for field in space.candidate() if self.use_item_id or field != item]
        return ItemHistoryModel(
            history,
            item,
            item_fields or [item],
            [field for field in space.query() if field != history],
            self.embedding_dim,
            self.candidate_hidden_units,
            self.query_hidden_units,
            self.pooling,
            self.temperature,
            self.dropout,
        )
