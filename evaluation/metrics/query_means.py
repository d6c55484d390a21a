"""The combiner that all per-query metrics share: values of a query in, means over queries out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types

NUM_QUERIES = "num_queries"
NUM_QUERIES_WITHOUT_RELEVANT = "num_queries_without_relevant"


class QueryTotals:
    """What is known of the queries seen so far.

    Attributes:
      totals: float64 `(num_metrics,)`, sum over queries of each metric.
      num_queries: queries with at least one relevant row.
      num_without_relevant: queries left out because they have none.
    """

    __slots__ = ("num_queries", "num_without_relevant", "totals")

    def __init__(self, num_metrics: int) -> None:
        self.totals = np.zeros(num_metrics)
        self.num_queries = 0
        self.num_without_relevant = 0


class QueryMeansCombiner(beam.CombineFn):
    """Means of per-query values over the queries of a slice; one accumulator for all metrics, models and outputs.

    The inputs are float64 vectors `(num_metrics,)` in the order of the keys, or None for a query without relevant
    rows: such queries are counted and left out. Values of all models stand side by side in one vector, so that paired
    differences of a query are at hand. The mean over zero queries is NaN.
    """

    def __init__(self, keys: Sequence[metric_types.MetricKey], count_keys: Sequence[metric_types.MetricKey]) -> None:
        self._keys = list(keys)
        self._count_keys = list(count_keys)

    def create_accumulator(self) -> QueryTotals:
        """Return the totals of no query."""
        return QueryTotals(len(self._keys))

    def add_input(self, accumulator: QueryTotals, element: np.ndarray | None) -> QueryTotals:
        """Add one query."""
        if element is None:
            accumulator.num_without_relevant += 1
        else:
            accumulator.totals += element
            accumulator.num_queries += 1
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[QueryTotals]) -> QueryTotals:
        """Add totals up."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.totals += accumulator.totals
            merged.num_queries += accumulator.num_queries
            merged.num_without_relevant += accumulator.num_without_relevant
        return merged

    def extract_output(self, accumulator: QueryTotals) -> dict[metric_types.MetricKey, float]:
        """Return the mean of each metric, and the counts."""
        n = accumulator.num_queries
        means = accumulator.totals / n if n else np.full(len(self._keys), np.nan)
        counts = {NUM_QUERIES: n, NUM_QUERIES_WITHOUT_RELEVANT: accumulator.num_without_relevant}
        return {
            **dict(zip(self._keys, means.tolist(), strict=True)),
            **{key: float(counts[key.name]) for key in self._count_keys},
        }


def mean_over_queries(
    names: Sequence[str],
    top_k: Sequence[int],
    model_names: Sequence[str],
    output_names: Sequence[str],
    values: metric_types.Preprocessor,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs, models and outputs.

    Args:
      names: metrics of a query.
      top_k: cut-offs.
      model_names: candidate and, if any, baseline.
      output_names: the model's output and popularity's.
      values: yields for each query a vector in the order model, output, name, cut-off; or None without relevant rows.
    """
    means = metric_keys(names, model_names, output_names, top_k)
    counts = metric_keys((NUM_QUERIES, NUM_QUERIES_WITHOUT_RELEVANT), model_names, output_names)
    return [metric_types.MetricComputation([*means, *counts], [values], QueryMeansCombiner(means, counts))]


def metric_keys(
    names: Iterable[str], model_names: Iterable[str], output_names: Sequence[str], top_k: Sequence[int] = ()
) -> list[metric_types.MetricKey]:
    """Return keys in the order model, output, name, cut-off: that of a row-major array with these axes."""
    sub_keys = [metric_types.SubKey(top_k=k) for k in top_k] or [None]
    names = list(names)
    return [
        metric_types.MetricKey(name, model_name=model, output_name=output, sub_key=sub_key)
        for model in model_names
        for output in output_names
        for name in names
        for sub_key in sub_keys
    ]
