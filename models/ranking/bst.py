"""Behaviour sequence transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.features import FeatureRecord


@register
class BST(ModelParams):
    """Self-attention over the last items with the item on offer among them, then an MLP with all other fields."""

    name: Literal["bst"] = "bst"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = (
        "Chen et al. 2019, Behavior sequence transformer for e-commerce recommendation in Alibaba, "
        "https://arxiv.org/abs/1905.06874"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector, and of an item's in the sequence.")
    max_length: int = Field(20, ge=1, description="How many of the last items are read.")
    num_blocks: int = Field(1, ge=1, description="Transformer blocks; the paper found one best.")
    num_heads: int = Field(2, ge=1, description="Attention heads a block.")
    gaps: str = Field(
        "",
        description="Sequence feature of how long before the event each item of the history was, beside the history "
        "token by token; its vectors are the positions. Empty: the place in the history is.",
    )
    hidden_units: tuple[int, ...] = Field((128, 64), min_length=1, description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of attended and hidden values dropped.")

    def check_features(self, features: Sequence[FeatureRecord]) -> None:
        """Refuse gaps that are no sequence of the query."""
        super().check_features(features)
        known = [r.name for r in features if getattr(r, "kind", "") == "sequence" and r.tower == "query"]
        if self.gaps and self.gaps not in known:
            raise ValueError(
                f"model.gaps should be empty or a sequence feature with `tower: query`, one of {known}. "
                f"Received: {self.gaps!r}"
            )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import RankingModel
        from models.layers.behaviour_transformer import BehaviourTransformer
        from models.layers.dense_stack import DenseStack

        history, item = space.history_and_item(self.name)
        gaps = next((field for field in space.fields if field.name == self.gaps), None)
        branch = BehaviourTransformer(
            history,
            item,
            [field for field in space.fields if field not in (history, item, gaps)],
            self.embedding_dim,
            self.max_length,
            self.num_blocks,
            self.num_heads,
            DenseStack(self.hidden_units, 1, activation="leaky_relu", dropout=self.dropout),
            gaps=gaps,
            dropout=self.dropout,
        )
        return RankingModel((), self.embedding_dim, feature_branches=[branch])
