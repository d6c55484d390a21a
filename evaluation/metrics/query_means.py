"""The combiner that all per-query metrics share: values of a query in, means over queries out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from evaluation.intervals import NUM_GROUPS
from evaluation.metric_table import QUERY_COUNTS
from evaluation.metrics.estimates import Estimates


class QueryValues(NamedTuple):
    """The metrics of one query.

    Attributes:
      group: of the user, see `evaluation.intervals.group_of`.
      values: float64 `(num_values,)` in the order of `Estimates`; None where the query has no relevant row.
      weights: float64 `(num_values,)`, 0 where a metric is not defined for the query; None: 1 for all.
      is_short: whether there were fewer candidates than the largest k.
      num_repeated_items: rows whose item stands in the query before.
    """

    group: int
    values: np.ndarray | None
    weights: np.ndarray | None = None
    is_short: bool = False
    num_repeated_items: int = 0


class QueryTotals:
    """What is known of the queries seen so far, by group of users.

    Attributes:
      totals: float64 `(num_groups, num_values)`, weighted sum over queries of each metric.
      weights: float64 `(num_groups, num_values)`, sum of the weights.
      num_queries: queries with at least one relevant row.
      num_without_relevant: queries left out because they have none.
      num_short: of `num_queries`, those with fewer candidates than the largest k.
      num_repeated_items: in the `num_queries`.
    """

    __slots__ = ("num_queries", "num_repeated_items", "num_short", "num_without_relevant", "totals", "weights")

    def __init__(self, num_values: int) -> None:
        self.totals = np.zeros((NUM_GROUPS, num_values))
        self.weights = np.zeros((NUM_GROUPS, num_values))
        self.num_queries = 0
        self.num_without_relevant = 0
        self.num_short = 0
        self.num_repeated_items = 0


class QueryMeansCombiner(beam.CombineFn):
    """Weighted means of per-query values over the queries of a slice; one accumulator for all models and outputs.

    The inputs are `QueryValues`. Queries without relevant rows are counted and left out. Values of all models stand
    side by side in one vector, so that paired differences of a query are at hand. The mean over zero queries is NaN.
    """

    def __init__(self, estimates: Estimates, count_keys: Sequence[metric_types.MetricKey]) -> None:
        self._estimates = estimates
        self._count_keys = list(count_keys)

    def create_accumulator(self) -> QueryTotals:
        """Return the totals of no query."""
        return QueryTotals(self._estimates.num_values)

    def add_input(self, accumulator: QueryTotals, element: QueryValues) -> QueryTotals:
        """Add one query."""
        if element.values is None:
            accumulator.num_without_relevant += 1
            return accumulator
        if element.weights is None:
            accumulator.totals[element.group] += element.values
            accumulator.weights[element.group] += 1
        else:
            # A metric that is not defined is no number, and must not become the total.
            accumulator.totals[element.group] += np.where(element.weights > 0, element.values * element.weights, 0)
            accumulator.weights[element.group] += element.weights
        accumulator.num_queries += 1
        accumulator.num_short += element.is_short
        accumulator.num_repeated_items += element.num_repeated_items
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[QueryTotals]) -> QueryTotals:
        """Add totals up."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.totals += accumulator.totals
            merged.weights += accumulator.weights
            merged.num_queries += accumulator.num_queries
            merged.num_without_relevant += accumulator.num_without_relevant
            merged.num_short += accumulator.num_short
            merged.num_repeated_items += accumulator.num_repeated_items
        return merged

    def extract_output(self, accumulator: QueryTotals) -> dict[metric_types.MetricKey, float]:
        """Return the mean of each metric with its errors, and the counts."""
        total, weight = accumulator.totals.sum(axis=0), accumulator.weights.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = total / weight
            left_out = (total - accumulator.totals) / (weight - accumulator.weights)
        found = (
            accumulator.num_queries,
            accumulator.num_without_relevant,
            accumulator.num_short,
            accumulator.num_repeated_items,
        )
        counts = dict(zip(QUERY_COUNTS, found, strict=True))
        return self._estimates.fill(means, left_out, accumulator.weights) | {
            key: float(counts[key.name]) for key in self._count_keys
        }


def mean_over_queries(
    estimates: Estimates,
    model_names: Sequence[str],
    output_names: Sequence[str],
    values: metric_types.Preprocessor,
    counted: bool = True,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs, models and outputs.

    Args:
      estimates: the metrics.
      model_names: candidate and, if any, baseline.
      output_names: the model's output and popularity's.
      values: yields `QueryValues`.
      counted: also return the numbers of queries; one metric of an evaluation should.
    """
    names = QUERY_COUNTS if counted else ()
    counts = metric_keys(names, model_names, output_names)
    combiner = QueryMeansCombiner(estimates, counts)
    return [metric_types.MetricComputation([*estimates.keys, *counts], [values], combiner)]


def metric_keys(
    names: Iterable[str], model_names: Iterable[str], output_names: Sequence[str]
) -> list[metric_types.MetricKey]:
    """Return keys in the order model, output, name."""
    names = list(names)
    return [
        metric_types.MetricKey(name, model_name=model, output_name=output)
        for model in model_names
        for output in output_names
        for name in names
    ]
