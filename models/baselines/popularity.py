"""What most people chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class Popularity(ModelParams):
    """Every item by how often it was chosen in train, the same for everyone."""

    name: Literal["popularity"] = "popularity"
    task: ClassVar[Task] = "retrieval"
    trained: ClassVar[bool] = False
    paper: ClassVar[str] = ""

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the unfitted model."""
        from models.archetypes.popularity import PopularityModel

        return PopularityModel(space.num_items)
