"""Neural factorization machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class NFM(ModelParams):
    """The summed products of all pairs of field vectors through an MLP, beside a weight a token."""

    name: Literal["nfm"] = "nfm"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "He, Chua 2017, Neural factorization machines, https://arxiv.org/abs/1708.05027"

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    hidden_units: tuple[int, ...] = Field((128, 64), description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the MLP's hidden values dropped.")
    batch_normalization: bool = Field(True, description="Normalise the summed products, as in the paper.")
    initial_scale: float = Field(0.01, gt=0, description="Standard deviation of the field vectors' initial values.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        import keras

        from models.archetypes.ranking import RankingModel
        from models.layers.bi_interaction import BiInteraction
        from models.layers.dense_stack import DenseStack
        from models.layers.linear_terms import LinearTerms
        from models.layers.with_logit import WithLogit

        # With Keras' momentum of .99, what is served after a hundred steps is still normalised by the initial values.
        normalization = [keras.layers.BatchNormalization(momentum=0.9)] if self.batch_normalization else []
        deep = WithLogit(BiInteraction(), *normalization, DenseStack(self.hidden_units, dropout=self.dropout))
        return RankingModel(
            space.fields, self.embedding_dim, [deep], [LinearTerms(space.fields)], scale=self.initial_scale
        )
