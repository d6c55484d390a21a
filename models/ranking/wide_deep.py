"""Wide and deep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.features import FeatureRecord


@register
class WideDeep(ModelParams):
    """A weight a token and a chosen pair of tokens, beside an MLP over the field vectors."""

    name: Literal["wide_deep"] = "wide_deep"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Cheng et al. 2016, Wide & deep learning, https://arxiv.org/abs/1606.07792"

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")
    crosses: tuple[tuple[str, str], ...] = Field(
        (), description="Pairs of categorical features; each pair of their tokens has a weight in the wide part."
    )
    cross_buckets: int = Field(100_000, ge=1, description="Weights a cross, at most; pairs are hashed into them.")
    hidden_units: tuple[int, ...] = Field((128, 64), description="Hidden layers of the MLP.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the MLP's hidden values dropped.")

    def check_features(self, features: Sequence[FeatureRecord]) -> None:
        """Refuse crosses of anything but categorical features."""
        super().check_features(features)
        known = [record.name for record in features if getattr(record, "kind", "") == "categorical"]
        unknown = sorted({name for pair in self.crosses for name in pair} - set(known))
        if unknown:
            raise ValueError(f"model.crosses should name categorical features, of {known}. Received: {unknown}")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import Flattened, RankingModel
        from models.layers.crossed_terms import CrossedTerms
        from models.layers.dense_stack import DenseStack
        from models.layers.linear_terms import LinearTerms

        deep = Flattened(DenseStack(self.hidden_units, output_units=1, dropout=self.dropout))
        fields = {field.name: field for field in space.fields}
        pairs = [(fields[a], fields[b]) for a, b in self.crosses]
        crossed = [CrossedTerms(pairs, self.cross_buckets)] if pairs else []
        return RankingModel(space.fields, self.embedding_dim, [deep], [LinearTerms(space.fields), *crossed])
