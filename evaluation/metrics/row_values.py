"""Access to the columns of one query's extracts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types

# Features that `evaluation.queries` adds.
GROUP = "user_group"
LISTS = "recommended_places"
REPEATED = "num_repeated_items"
HISTORY = "history_places"


def outputs(extracts: types.Extracts, model_names: Sequence[str], output_names: Sequence[str]) -> np.ndarray:
    """Return a model output per row, float64 `(num_models * num_outputs, num_rows)`, in the order model, output."""
    predictions = extracts[constants.PREDICTIONS_KEY]
    return np.array([_column(predictions, model, output) for model in model_names for output in output_names])


def labels(extracts: types.Extracts, model_name: str) -> np.ndarray:
    """Return the label of each row, float64 `(num_rows,)`."""
    return _column(extracts[constants.LABELS_KEY], model_name)


def feature(extracts: types.Extracts, name: str) -> np.ndarray:
    """Return a numeric feature of each row, float64 `(num_rows,)`."""
    return _column(extracts[constants.FEATURES_KEY], name)


def group(extracts: types.Extracts) -> int:
    """Return the group of the query's user, see `evaluation.intervals.group_of`; 0 where none was given."""
    groups = extracts[constants.FEATURES_KEY].get(GROUP)
    return 0 if groups is None else int(groups[0])


def num_repeated_items(extracts: types.Extracts) -> int:
    """Return how many rows of the query name an item that another row names, too; 0 where none were counted."""
    return int(extracts[constants.FEATURES_KEY].get(REPEATED, 0))


def lists(extracts: types.Extracts) -> np.ndarray:
    """Return each model's recommended items of the query, int32 `(num_models, length)`, places in the item table."""
    return extracts[constants.FEATURES_KEY][LISTS]


def is_short(extracts: types.Extracts, k: int) -> bool:
    """Return whether the candidate's list ends before k items; False where lists are not looked at, or are cut."""
    found = extracts[constants.FEATURES_KEY].get(LISTS)
    return found is not None and int((found[0] >= 0).sum()) < min(k, found.shape[1])


def history(extracts: types.Extracts) -> np.ndarray:
    """Return the items of the user's history, int32 `(history_length,)`, places in the item table."""
    return extracts[constants.FEATURES_KEY][HISTORY]


def _column(tree: Any, *names: str) -> np.ndarray:
    """Return the leaf under some names; like TFMA, pass over the level of models where there is only one.

    TFMA's own `StandardExtracts` does the same, at more than the price of the metrics' arithmetic.
    """
    for name in names:
        if isinstance(tree, dict) and name in tree:
            tree = tree[name]
    return np.asarray(tree, dtype=np.float64).reshape(-1)
