"""Attentional factorization machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class AFM(ModelParams):
    """The products of all pairs of field vectors, weighed by attention, beside a weight a token."""

    name: Literal["afm"] = "afm"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Xiao et al. 2017, Attentional factorization machines, https://arxiv.org/abs/1708.04617"
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    pooling: Literal["att", "avg", "max"] = Field("att", description="How the pairs' products become one vector.")
    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    attention_units: int = Field(8, ge=1, description="Width of the attention layer.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the pooled vector dropped.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import RankingModel
        from models.layers.linear_terms import LinearTerms
        from models.layers.pair_pooling import PairPooling
        from models.layers.with_logit import WithLogit

        pairs = WithLogit(PairPooling(self.pooling, self.attention_units, self.dropout))
        return RankingModel(space.fields, self.embedding_dim, [pairs], [LinearTerms(space.fields)])
