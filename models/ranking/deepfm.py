"""DeepFM."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class DeepFM(ModelParams):
    """Factorization machine and MLP over the same field vectors."""

    name: Literal["deepfm"] = "deepfm"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Guo et al. 2017, DeepFM, https://arxiv.org/abs/1703.04247"

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    hidden_units: tuple[int, ...] = Field((128, 64), description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the MLP's hidden values dropped.")
    initial_scale: float = Field(0.03, gt=0, description="Standard deviation of the field vectors' initial values.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import Flattened, RankingModel
        from models.layers.dense_stack import DenseStack
        from models.layers.factorization import FactorizationInteraction
        from models.layers.linear_terms import LinearTerms

        deep = Flattened(DenseStack(self.hidden_units, output_units=1, dropout=self.dropout))
        return RankingModel(
            space.fields,
            self.embedding_dim,
            branches=[FactorizationInteraction(), deep],
            feature_branches=[LinearTerms(space.fields)],
            scale=self.initial_scale,
        )
