"""Product-based neural network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class PNN(ModelParams):
    """An MLP over the field vectors and the products of their pairs."""

    name: Literal["pnn"] = "pnn"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = (
        "Qu et al. 2016, Product-based neural networks for user response prediction, https://arxiv.org/abs/1611.00144"
    )

    products: Literal["inner", "outer"] = Field(
        "inner", description="inner: one number a pair; outer: the sum of all pairs' outer products."
    )
    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    hidden_units: tuple[int, ...] = Field((128, 64), min_length=1, description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the MLP's hidden values dropped.")
    initial_scale: float = Field(0.05, gt=0, description="Standard deviation of the field vectors' initial values.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import RankingModel
        from models.layers.dense_stack import DenseStack
        from models.layers.product_signals import ProductSignals
        from models.layers.with_logit import WithLogit

        branch = WithLogit(ProductSignals(self.products), DenseStack(self.hidden_units, dropout=self.dropout))
        return RankingModel(space.fields, self.embedding_dim, [branch], scale=self.initial_scale)
