"""Extreme deep factorization machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class XDeepFM(ModelParams):
    """A compressed interaction network and an MLP over the same field vectors, and a weight a token."""

    name: Literal["xdeepfm"] = "xdeepfm"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Lian et al. 2018, xDeepFM, https://arxiv.org/abs/1803.05170"

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    num_maps: tuple[int, ...] = Field(
        (64, 64), min_length=1, description="Feature maps of each layer of the interaction network."
    )
    hidden_units: tuple[int, ...] = Field((128, 64), description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the MLP's hidden values dropped.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import Flattened, RankingModel
        from models.layers.compressed_interaction import CompressedInteraction
        from models.layers.dense_stack import DenseStack
        from models.layers.linear_terms import LinearTerms
        from models.layers.with_logit import WithLogit

        explicit = WithLogit(CompressedInteraction(self.num_maps))
        deep = Flattened(DenseStack(self.hidden_units, output_units=1, dropout=self.dropout))
        return RankingModel(space.fields, self.embedding_dim, [explicit, deep], [LinearTerms(space.fields)])
