"""Neighbours of the items in the history."""

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
class ItemKnn(ModelParams):
    """Each item of the history votes for its nearest neighbours, by the cosine of their sets of users."""

    name: Literal["item_knn"] = "item_knn"
    task: ClassVar[Task] = "retrieval"
    trained: ClassVar[bool] = False
    paper: ClassVar[str] = (
        "Deshpande, Karypis 2004, Item-based top-N recommendation, https://doi.org/10.1145/963770.963776"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    num_neighbors: int = Field(100, ge=1, description="Items that an item of the history votes for.")
    shrinkage: float = Field(
        10.0, ge=0, description="Added to the cosine's denominator, so that a few common users prove little."
    )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the unfitted model."""
        from models.archetypes.item_weights import ItemWeightsModel

        history, _ = space.history_and_item(self.name)
        return ItemWeightsModel(history, space.num_items, self.item_weights)

    def item_weights(self, interactions: Interactions) -> np.ndarray:
        """Return `W_ij = n_ij / (sqrt(n_i n_j) + shrinkage)` where i is among j's nearest neighbours, else 0.

        n_ij is the number of users who chose both i and j, n_i of those who chose i. Of equally near items the first in
        the catalogue stays.
        """
        from models.archetypes.item_weights import co_occurrences

        both = co_occurrences(interactions)
        norms = np.sqrt(np.diag(both))
        similarity = both / np.maximum(np.outer(norms, norms) + self.shrinkage, 1e-9)
        np.fill_diagonal(similarity, 0.0)
        far = np.argsort(-similarity, axis=0, kind="stable")[self.num_neighbors :]
        np.put_along_axis(similarity, far, 0.0, axis=0)
        return similarity
