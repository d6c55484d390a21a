"""A shallow autoencoder in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.archetypes.closed_form import Interactions
    from models.feature_space import FeatureSpace


@register
class Ease(ModelParams):
    """The item-to-item weights that best restore each user's items from the user's other items."""

    name: Literal["ease"] = "ease"
    task: ClassVar[Task] = "retrieval"
    trained: ClassVar[bool] = False
    paper: ClassVar[str] = (
        "Steck 2019, Embarrassingly shallow autoencoders for sparse data, https://arxiv.org/abs/1905.03375"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    l2: float = Field(
        250.0, gt=0, description="lambda of |W|²; the paper's best are 200 to 1000, more for sparse data."
    )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the unfitted model."""
        from models.archetypes.item_weights import ItemWeightsModel

        history, _ = space.history_and_item(self.name)
        return ItemWeightsModel(history, space.num_items, self.item_weights)

    def item_weights(self, interactions: Interactions) -> np.ndarray:
        """Return the W with a diagonal of 0 that minimises `|X - X W|² + l2 |W|²`, rows and columns swapped.

            P = (X'X + l2 I)^-1,    W_ij = -P_ij / P_jj,    W_jj = 0

        The paper's score of item j is the history times column j; here a candidate is a row, so W' is returned.
        """
        from models.archetypes.item_weights import co_occurrences

        gram = co_occurrences(interactions)
        inverse = np.linalg.inv(gram + self.l2 * np.eye(len(gram)))
        weights = -inverse / np.diag(inverse)[None, :]
        np.fill_diagonal(weights, 0.0)
        return weights.T
