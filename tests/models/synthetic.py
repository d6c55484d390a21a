"""Rows made up in memory, without Transform: for tests of training itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.training_data import Catalogue, Rows, TrainingData
from settings.features import FeatureList


def space_of(features: list[dict[str, Any]], sizes: Mapping[str, int], num_items: int) -> FeatureSpace:
    records = FeatureList.model_validate({"records": features}).records
    return FeatureSpace.from_records(records, dict(sizes), num_items)


def rows_of(features: Mapping[str, np.ndarray], item: np.ndarray, liked: np.ndarray | None = None) -> Rows:
    """Return rows in which everything is relevant; `item` are catalogue positions."""
    count = len(item)
    return Rows(
        features={**features, CATALOGUE_INDEX: item.astype(np.int64)},
        relevant=np.ones(count, np.float32),
        liked=np.ones(count, np.float32) if liked is None else liked.astype(np.float32),
        rating=np.full(count, np.nan, np.float32),
        sequence_end=np.ones(count, bool),
        timestamp=np.zeros(count, np.int64),
        user_id=np.array([f"u{number}".encode() for number in range(count)]),
    )


def data_of(train: Rows, evaluation: Rows, items: Mapping[str, np.ndarray], num_items: int) -> TrainingData:
    ids = np.array([f"i{number}".encode() for number in range(num_items)])
    features = {**items, CATALOGUE_INDEX: np.arange(num_items)}
    return TrainingData(train, evaluation, Catalogue(ids, np.zeros_like(ids), features))


def pairs(num_users: int = 12, num_items: int = 6) -> tuple[FeatureSpace, TrainingData]:
    """Return users who each choose items of their own half, as ids and nothing else."""
    features = [
        {"name": "user_id", "kind": "categorical", "tower": "query"},
        {"name": "item_id", "kind": "categorical", "tower": "candidate"},
    ]
    space = space_of(features, {"user_id": num_users + 2, "item_id": num_items + 2}, num_items)
    user, item = np.meshgrid(np.arange(num_users), np.arange(num_items))
    chosen = (user % 2 == item % 2).ravel()
    user, item = user.ravel()[chosen], item.ravel()[chosen]
    order = np.random.default_rng(0).permutation(len(user))
    rows = [
        rows_of({"user_id": user[part] + 2, "item_id": item[part] + 2}, item[part])
        for part in (order[: -len(order) // 4], order[-len(order) // 4 :])
    ]
    return space, data_of(rows[0], rows[1], {"item_id": np.arange(num_items) + 2}, num_items)
