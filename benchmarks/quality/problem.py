"""A protocol's rows in the form that training takes, without the pipeline around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.feature_space import CATALOGUE_INDEX, FeatureSpace, Field
from models.training_data import Arrays, Catalogue, Rows, TrainingData

# Ids of a vocabulary: 0 pads, 1 is out of vocabulary.
FIRST_TOKEN = 2
USER, ITEM, HISTORY = "user_id", "item_id", "history"


@dataclass(frozen=True)
class Problem:
    """What a model is trained on and asked.

    Attributes:
      space: fields.
      data: train and eval rows and the catalogue; no eval rows where the number of epochs is fixed.
      test: rows to predict; for a retrieval protocol one row a user.
      seen: bool `(number of test rows, num_items)`, items removed from the ranking; None outside retrieval.
    """

    space: FeatureSpace
    data: TrainingData
    test: Rows
    seen: np.ndarray | None = None

    def held_out(self, share: float, seed: int) -> Problem:
        """Return the problem of predicting a random share of the train rows, to choose settings by."""
        out = np.random.default_rng(seed).random(len(self.data.train)) < share
        train = self.data.train
        return replace(self, data=replace(self.data, train=train.where(~out)), test=train.where(out))


def categorical(name: str, tower: Any, size: int, source: str = "") -> Field:
    """Return a categorical field of `size` tokens."""
    return Field(name, "categorical", tower, name, size + FIRST_TOKEN, num_oov=1, source=source)


def rows(features: Arrays, **columns: np.ndarray) -> Rows:
    """Return rows; columns that are not given are ones, users without a name."""
    size = len(next(iter(features.values())))
    ones = np.ones(size, np.float32)
    features = features if CATALOGUE_INDEX in features else features | {CATALOGUE_INDEX: np.zeros(size, np.int64)}
    defaults = {"relevant": ones, "liked": ones, "rating": ones, "sequence_end": ones > 0}
    defaults |= {"user_id": np.zeros(size), "timestamp": np.zeros(size, np.int64)}
    return Rows(features, **(defaults | columns))


def no_rows(like: Rows) -> Rows:
    """Return rows of the same form, none of them."""
    return like.where(np.zeros(len(like), bool))


def catalogue(features: Arrays) -> Catalogue:
    """Return items without names."""
    size = len(next(iter(features.values())))
    blank = np.full(size, b"", object)
    return Catalogue(blank, blank, features | {CATALOGUE_INDEX: np.arange(size, dtype=np.int64)})


def lists(values: list[list[int]], length: int) -> np.ndarray:
    """Return the newest ids of each list, padded in front, int64 `(len(values), length)`.

    >>> lists([[3], [1, 2, 3]], 2).tolist()
    [[0, 3], [2, 3]]
    """
    found = np.zeros((len(values), length), np.int64)
    for row, ids in zip(found, values, strict=True):
        if ids:
            row[-min(len(ids), length) :] = ids[-length:]
    return found
