"""A retrieval model that counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from models.archetypes.closed_form import ClosedFormModel, Interactions
from models.archetypes.retrieval import Features
from models.feature_space import CATALOGUE_INDEX


class PopularityModel(ClosedFormModel):
    """`score = log(1 + number of relevant train events of the item)`, as an inner product with a query of 1.

    Args:
      num_items: size of the catalogue.
    """

    def __init__(self, num_items: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # One row more for an item outside the catalogue: nobody chose it.
        self.log_counts = self.add_weight((num_items + 1, 1), "zeros", trainable=False, name="log_counts")

    def fit_interactions(self, interactions: Interactions, seed: int) -> None:
        """Count."""
        counts = np.bincount(interactions.item, minlength=interactions.num_items + 1)
        self.log_counts.assign(np.log1p(counts)[:, None])

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return ones."""
        return ops.ones((ops.shape(features[CATALOGUE_INDEX])[0], 1), dtype="float32")

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' log counts."""
        return ops.take(self.log_counts, features[CATALOGUE_INDEX], axis=0)
