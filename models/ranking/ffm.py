"""Field-aware factorization machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class FFM(ModelParams):
    """As a factorization machine, but each field has a vector of its own for every other field."""

    name: Literal["ffm"] = "ffm"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = (
        "Juan et al. 2016, Field-aware factorization machines for CTR prediction, "
        "https://doi.org/10.1145/2959100.2959134"
    )
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    embedding_dim: int = Field(4, ge=1, description="Length of the vector that a field has for one other field.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.ranking import RankingModel
        from models.layers.field_aware import FieldAwareInteraction
        from models.layers.linear_terms import LinearTerms

        linear = LinearTerms(space.fields)
        width = len(space.fields) * self.embedding_dim
        return RankingModel(space.fields, width, [FieldAwareInteraction()], [linear])
