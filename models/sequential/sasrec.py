"""Self-attentive sequential recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register
from settings.tuning import Choice, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class SASRec(ModelParams):
    """Causal self-attention over the last items; learns from every position of a history."""

    name: Literal["sasrec"] = "sasrec"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Kang, McAuley 2018, Self-attentive sequential recommendation, https://arxiv.org/abs/1808.09781"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)
    search: ClassVar[SearchSpace] = {"num_blocks": Choice(values=(1, 2, 3))}

    embedding_dim: int = Field(64, ge=1, description="Length of item and position vectors.")
    num_blocks: int = Field(2, ge=1, description="Attention blocks, one after the other.")
    num_heads: int = Field(2, ge=1, description="Attention heads a block; should divide embedding_dim.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of inputs, attention weights and hidden values dropped.")
    scaled_items: bool = Field(
        False,
        description="Read item vectors times sqrt(embedding_dim), as in the paper's code: learns faster by bce, ranks "
        "worse by softmax.",
    )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.self_attention import SelfAttentionModel

        history, item = space.history_and_item(self.name)
        return SelfAttentionModel(
            history, item, self.embedding_dim, self.num_blocks, self.num_heads, self.dropout, self.scaled_items
        )
