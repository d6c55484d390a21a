"""Deep and cross network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class DCN(ModelParams):
    """Crosses of bounded degree beside an MLP, both over the field vectors side by side."""

    name: Literal["dcn"] = "dcn"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = (
        "Wang et al. 2017, Deep & cross network, https://arxiv.org/abs/1708.05123; v2: 2020, DCN V2, "
        "https://arxiv.org/abs/2008.13535"
    )

    version: Literal["v1", "v2"] = Field("v1", description="v1: a vector a cross layer; v2: a matrix.")
    num_layers: int = Field(2, ge=1, description="Cross layers.")
    projection_dim: int | None = Field(None, ge=1, description="Rank of the matrices of v2; empty: full.")
    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    hidden_units: tuple[int, ...] = Field((128, 64), min_length=1, description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the MLP's hidden values dropped.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import Flattened, RankingModel
        from models.layers.cross_network import CrossNetwork
        from models.layers.dense_stack import DenseStack
        from models.layers.with_logit import WithLogit

        crosses = WithLogit(CrossNetwork(self.num_layers, self.version, self.projection_dim))
        deep = DenseStack(self.hidden_units, output_units=1, dropout=self.dropout)
        return RankingModel(space.fields, self.embedding_dim, [Flattened(crosses), Flattened(deep)])
