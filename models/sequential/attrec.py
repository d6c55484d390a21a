"""Self-attention for now, metric learning for always."""

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
class AttRec(ModelParams):
    """Attention over the last items and the user's own vector, weighed against each other."""

    name: Literal["attrec"] = "attrec"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Zhang et al. 2018, Next item recommendation with self-attention, https://arxiv.org/abs/1808.06414"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence", "categorical")
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")
    search: ClassVar[SearchSpace] = {"long_weight": Between(low=0.0, high=1.0)}

    embedding_dim: int = Field(100, ge=1, description="Length of user and item vectors.")
    max_length: int = Field(5, ge=1, description="How many of the last items are read.")
    long_weight: float = Field(0.2, ge=0, le=1, description="Share of the long-term score in the sum.")
    metric: Literal["dist", "inner"] = Field(
        "dist", description="dist: squared distances, by default with the hinge loss; inner: products, bpr loss."
    )

    def auto_loss(self) -> Loss:
        """Return the paper's loss, and for products the one of pairs."""
        return "hinge" if self.metric == "dist" else "bpr"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.long_and_short import LongAndShortModel

        history, _ = space.history_and_item(self.name)
        user, item = space.user_and_item(self.name)
        return LongAndShortModel(
            history, user, item, self.embedding_dim, self.max_length, self.long_weight, self.metric
        )
