"""Implicit alternating least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class Ials(ModelParams):
    """Matrix factorization of what was chosen and, with a small weight, of all that was not."""

    name: Literal["ials"] = "ials"
    task: ClassVar[Task] = "retrieval"
    trained: ClassVar[bool] = False
    paper: ClassVar[str] = (
        "Hu, Koren, Volinsky 2008, https://doi.org/10.1109/ICDM.2008.22, with the penalty of Rendle et al. 2022, "
        "Revisiting the performance of iALS, https://arxiv.org/abs/2110.14037"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(64, ge=1, description="Length of user and item vectors.")
    num_sweeps: int = Field(16, ge=1, description="Times that all users, then all items, are solved for.")
    unobserved_weight: float = Field(0.1, gt=0, description="Weight of every pair's pull towards 0; a choice weighs 1.")
    l2: float = Field(0.003, gt=0, description="Penalty of a vector, times the weight of all pairs that it is part of.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the unfitted model."""
        from models.archetypes.alternating import AlternatingModel

        history, _ = space.history_and_item(self.name)
        return AlternatingModel(
            history, space.num_items, self.embedding_dim, self.num_sweeps, self.unobserved_weight, self.l2
        )
