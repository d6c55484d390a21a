"""Which items a model shows to anybody: coverage of the catalogue and inequality of exposure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.intervals import NUM_GROUPS
from evaluation.metrics import row_values
from evaluation.metrics.estimates import Estimates

NAMES_AT_K = ("coverage", "exposure_gini")


class Exposure(metric_types.Metric):
    """Catalogue coverage and Gini of exposure of the recommended items, at each k.

    With `x_i` the number of queries in whose first k item `i` stands, ascending `x_1 <= ... <= x_N` over the catalogue:

        coverage      = |{i: x_i > 0}| / N
        exposure_gini = sum_i (2 i - N - 1) x_i / (N sum_i x_i), 0: all items alike, towards 1: one item only

    Items outside of the catalogue do not count. 4 bytes are kept for each recommended item of a query. Both are NaN
    where nothing is recommended.

    Args:
      top_k: cut-offs.
      num_items: size N of the catalogue.
      name: name of the group; the metrics have the names above.
    """

    def __init__(self, top_k: Sequence[int], num_items: int, name: str = "exposure") -> None:
        super().__init__(_exposure, top_k=list(top_k), num_items=num_items, name=name)


metric_types.register_metric(Exposure)


def exposure_values(counts: np.ndarray) -> tuple[float, float]:
    """Return coverage and Gini of exposures.

    Args:
      counts: `(num_items,)`, how often each item was shown.

    Example:
      >>> exposure_values(np.array([0, 0, 0, 8])), exposure_values(np.array([2, 2]))
      ((0.25, 0.75), (1.0, 0.0))
    """
    num_items = len(counts)
    shown = np.sort(counts[counts > 0]).astype(np.float64)
    if not len(shown):
        return float("nan"), float("nan")
    # Items that nobody sees stand first and add nothing.
    places = np.arange(num_items - len(shown) + 1, num_items + 1)
    gini = np.sum((2 * places - num_items - 1) * shown) / (num_items * shown.sum())
    return len(shown) / num_items, float(gini)


def _exposure(
    top_k: list[int],
    num_items: int,
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    """Return the one computation of both metrics, all cut-offs and models."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    estimates = Estimates((), models, outputs, NAMES_AT_K, top_k)
    combiner = _ExposureCombiner(estimates, top_k, num_items, len(models))
    return [metric_types.MetricComputation(estimates.keys, [_Shown(top_k)], combiner)]


class _Lists(NamedTuple):
    """Lists of some queries: the users' groups `(num_queries,)` and int32 `(num_queries, num_models, length)`."""

    groups: np.ndarray
    places: np.ndarray


class _Shown(metric_types.Preprocessor):
    """From the lists of a query to those of all models, cut to what is counted."""

    def __init__(self, top_k: Sequence[int]) -> None:
        super().__init__(name=f"shown:{top_k}")
        self._longest = max(top_k)

    def process(self, extracts: types.Extracts) -> Iterator[_Lists]:
        """Yield the lists of one query."""
        places = row_values.lists(extracts)[:, : self._longest]
        yield _Lists(np.array([row_values.group(extracts)], np.int32), places[None])


class _ExposureCombiner(beam.CombineFn):
    """Keeps the lists of a slice."""

    def __init__(self, estimates: Estimates, top_k: Sequence[int], num_items: int, num_models: int) -> None:
        self._estimates = estimates
        self._top_k = list(top_k)
        self._num_items = num_items
        self._num_models = num_models

    def create_accumulator(self) -> list[_Lists]:
        return []

    def add_input(self, accumulator: list[_Lists], element: _Lists) -> list[_Lists]:
        accumulator.append(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[_Lists]]) -> list[_Lists]:
        return [lists for accumulator in accumulators for lists in accumulator]

    def compact(self, accumulator: list[_Lists]) -> list[_Lists]:
        if not accumulator:
            return []
        return [_Lists(*(np.concatenate(parts) for parts in zip(*accumulator, strict=True)))]

    def extract_output(self, accumulator: list[_Lists]) -> dict[metric_types.MetricKey, float]:
        values = np.full((1 + NUM_GROUPS, self._num_models, len(NAMES_AT_K), len(self._top_k)), np.nan)
        sizes = np.zeros((NUM_GROUPS, 1))
        for groups, places in self.compact(accumulator):
            sizes = np.bincount(groups, minlength=NUM_GROUPS)[:, None].astype(np.float64)
            for model in range(self._num_models):
                for column, k in enumerate(self._top_k):
                    counts = self._counts(groups, places[:, model, :k])
                    total = counts.sum(axis=0)
                    values[0, model, :, column] = exposure_values(total)
                    for group in np.flatnonzero(sizes):
                        values[1 + group, model, :, column] = exposure_values(total - counts[group])
        rows = values.reshape(1 + NUM_GROUPS, -1)
        return self._estimates.fill(rows[0], rows[1:], sizes)

    def _counts(self, groups: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return how often each group was shown each item, `(NUM_GROUPS, num_items)`."""
        cells = groups[:, None].astype(np.int64) * self._num_items + places
        known = (places >= 0) & (places < self._num_items)
        return np.bincount(cells[known], minlength=NUM_GROUPS * self._num_items).reshape(NUM_GROUPS, -1)
