"""Deep Crossing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class DeepCrossing(ModelParams):
    """Field vectors side by side through residual units."""

    name: Literal["deep_crossing"] = "deep_crossing"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Shan et al. 2016, Deep Crossing, https://doi.org/10.1145/2939672.2939704"

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    hidden_units: tuple[int, ...] = Field((128, 64), min_length=1, description="Inner width of each residual unit.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of each unit's outputs dropped.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import Flattened, RankingModel
        from models.layers.residual_units import ResidualUnits
        from models.layers.with_logit import WithLogit

        units = ResidualUnits(self.hidden_units, self.dropout)
        return RankingModel(space.fields, self.embedding_dim, [Flattened(WithLogit(units))])
