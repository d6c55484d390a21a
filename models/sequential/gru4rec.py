"""Recurrent units over the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class Gru4Rec(ModelParams):
    """Gated recurrent units read the history and predict the next item at every position."""

    name: Literal["gru4rec"] = "gru4rec"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Hidasi, Karatzoglou, Baltrunas, Tikk. 2016, Session-based recommendations with recurrent neural networks, "
        "https://arxiv.org/abs/1511.06939"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(64, ge=1, description="Length of item vectors, and width of the last layer.")
    hidden_units: tuple[int, ...] = Field((), description="Widths of recurrent layers before the last.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of inputs and of each layer's outputs set to 0.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.recurrent import RecurrentModel

        history, item = space.history_and_item(self.name)
        return RecurrentModel(history, item, self.embedding_dim, self.hidden_units, self.dropout)
