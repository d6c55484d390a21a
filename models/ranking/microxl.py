"""MicroXL."""

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
class MicroXL(ModelParams):
    """Id vector and ReLU layer on the metadata, on each side; one ReLU projection shared by both; an inner product."""

    name: Literal["microxl"] = "microxl"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = "Bharathan, Gan, Ng, Low 2025, MicroXL, NUS Datathon"
    needs: ClassVar[tuple[str, ...]] = ("categorical",)
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")

    embedding_dim: int = Field(
        64, ge=2, multiple_of=2, description="d: width of metadata layers and projection; an id's vector has d/2."
    )

    @classmethod
    def lacks(cls, features: Sequence[FeatureRecord]) -> str:
        """Return what is missing, also where a side has no metadata beside its id."""
        for tower, column in (("query", "user_id"), ("candidate", "item_id")):
            if not any(record.tower == tower and record.source != column for record in features):
                return f"a feature with `tower: {tower}` beside that of column {column!r}"
        return super().lacks(features)

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.shared_projection import SharedProjectionModel
        from models.layers.dense_tower import DenseTower
        from models.layers.id_vector import IdVector

        dim = self.embedding_dim
        user, item = space.user_and_item(self.name)
        of_users = [field for field in space.query() if field != user]
        of_items = [field for field in space.candidate() if field != item]
        return SharedProjectionModel(
            IdVector(user, dim // 2),
            DenseTower(of_users, dim, [dim]),
            IdVector(item, dim // 2),
            DenseTower(of_items, dim, [dim]),
            dim,
        )
