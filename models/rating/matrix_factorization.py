"""Matrix factorization with biases."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register
from settings.tuning import Between, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class MatrixFactorization(ModelParams):
    """User vector times item vector plus biases: u·m + b_u + b_m + b."""

    name: Literal["matrix_factorization"] = "matrix_factorization"
    task: ClassVar[Task] = "rating"
    paper: ClassVar[str] = (
        "Koren, Bell, Volinsky 2009, Matrix factorization techniques, https://doi.org/10.1109/MC.2009.263"
    )
    needs: ClassVar[tuple[str, ...]] = ("categorical",)
    ids: ClassVar[tuple[str, ...]] = ("user_id", "item_id")
    search: ClassVar[SearchSpace] = {"l2": Between(low=0.02, high=1.0, log=True)}

    embedding_dim: int = Field(32, ge=1, description="Length of the user's and the item's vector.")
    l2: float = Field(0.2, ge=0, description="lambda in lambda/2 (|u|² + |m|² + b_u² + b_m²), added to a row's loss.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.factorization import FactorizationModel

        return FactorizationModel(*space.user_and_item(self.name), self.embedding_dim, self.l2)
