"""A retrieval model that is computed from the interactions, without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.archetypes.retrieval import RetrievalModel


@dataclass(frozen=True)
class Interactions:
    """The relevant train events, one an element, in the order of the rows.

    Attributes:
      user: int64, users numbered from 0.
      item: int64, position of the item in the catalogue; items outside it are left out.
      num_users: how many users there are.
      num_items: size of the catalogue.
      token: int64, id of the item in the item vocabulary of each catalogue position, `(num_items,)`; all 0 where no
        feature holds the item id.
    """

    user: np.ndarray
    item: np.ndarray
    num_users: int
    num_items: int
    token: np.ndarray


class ClosedFormModel(RetrievalModel):
    """A retrieval model that training fits in one call; everything else is as for the others."""

    def fit_interactions(self, interactions: Interactions, seed: int) -> None:
        """Set the weights from the interactions.

        Args:
          interactions: the train split's.
          seed: of anything random.
        """
        raise NotImplementedError
