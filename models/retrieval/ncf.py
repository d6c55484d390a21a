"""Neural collaborative filtering."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.training import Loss


@register
class Ncf(ModelParams):
    """A network instead of an inner product between user and item: GMF, MLP, or both as NeuMF."""

    name: Literal["ncf"] = "ncf"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = "He et al. 2017, Neural collaborative filtering, https://arxiv.org/abs/1708.05031"
    needs: ClassVar[tuple[str, ...]] = ("categorical",)
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")

    mode: Literal["gmf", "mlp", "neumf"] = Field(
        "neumf", description="Element-wise product, MLP, or both side by side."
    )
    embedding_dim: int = Field(32, ge=1, description="Length of user and item vectors, for each part.")
    hidden_units: tuple[int, ...] = Field((64, 32, 16), min_length=1, description="Layers of the MLP.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")

    pretrained: bool = Field(
        False, description="neumf: train gmf and mlp alone first, and start from both, as the paper does."
    )

    def parts(self) -> tuple[ModelParams, ...]:
        """Return what neumf starts from."""
        if self.mode != "neumf" or not self.pretrained:
            return ()
        return tuple(self.model_copy(update={"mode": mode}) for mode in ("gmf", "mlp"))

    def auto_loss(self) -> Loss:
        """Return the paper's loss."""
        return "bce"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.neural_score import NeuralScoreModel

        user, item = space.user_and_item(self.name)
        return NeuralScoreModel(user, item, self.mode, self.embedding_dim, self.hidden_units, self.dropout)
