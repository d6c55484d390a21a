"""Factorization machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class FM(ModelParams):
    """A weight a token, and the inner product of the vectors of every pair of fields."""

    name: Literal["fm"] = "fm"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Rendle 2010, Factorization machines, https://doi.org/10.1109/ICDM.2010.127"
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    embedding_dim: int = Field(16, ge=1, description="Length of a field's vector.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import RankingModel
        from models.layers.factorization import FactorizationInteraction
        from models.layers.linear_terms import LinearTerms

        linear = LinearTerms(space.fields)
        return RankingModel(space.fields, self.embedding_dim, [FactorizationInteraction()], [linear])
