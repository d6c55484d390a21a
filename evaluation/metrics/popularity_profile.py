"""How popular the recommended items are, against those that users chose before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation import item_table
from evaluation.metrics import row_values
from evaluation.metrics.array_sums import ArraySumCombiner
from evaluation.metrics.query_means import metric_keys

NAME = "popularity_profile"
# The bin of an item of c train events is log2(c + 1), rounded down: 0, 1-2, 3-6, 7-14, ...; the last holds the rest.
NUM_BINS = 24


class PopularityProfile(metric_types.Metric):
    """Recommended items, and items of the histories, in bins of train events.

    The value is an array `(2, NUM_BINS)`: the first k recommended items of each query, and all of its history.

    Args:
      k: how many items of a list count.
      items_path: the item table, see `evaluation.item_table`.
      name: of the metric.
    """

    def __init__(self, k: int, items_path: str, name: str = NAME) -> None:
        super().__init__(_popularity_profile, k=k, items_path=items_path, name=name)


metric_types.register_metric(PopularityProfile)


def profile(counts: np.ndarray) -> np.ndarray:
    """Return how many items fall into each bin, float64 `(NUM_BINS,)`.

    Example:
      >>> profile(np.array([0, 1, 2, 3, 7]))[:5].tolist()
      [1.0, 2.0, 1.0, 1.0, 0.0]
    """
    bins = np.minimum(np.log2(counts + 1).astype(np.int64), NUM_BINS - 1)
    return np.bincount(bins, minlength=NUM_BINS).astype(np.float64)


def _popularity_profile(
    k: int,
    items_path: str,
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    keys = metric_keys([name], model_names or [""], output_names or [""])
    combiner = ArraySumCombiner(keys, (2, NUM_BINS))
    return [metric_types.MetricComputation(keys, [_Profiles(k, items_path)], combiner)]


class _Profiles(metric_types.Preprocessor):
    """From the lists of a query to the arrays of all models."""

    def __init__(self, k: int, items_path: str) -> None:
        super().__init__(name=f"profiles:{k}:{items_path}")
        self._k = k
        self._items_path = items_path

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray]:
        """Yield float64 `(num_models, 2, NUM_BINS)`."""
        counts = item_table.load(self._items_path).counts
        before = profile(counts[row_values.history(extracts)])
        lists = row_values.lists(extracts)[:, : self._k]
        yield np.stack([[profile(counts[row[row >= 0]]), before] for row in lists])
