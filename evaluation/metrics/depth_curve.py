"""Recall and precision at every depth of the catalogue's ranking: what precision-recall curves are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.array_sums import ArraySumCombiner
from evaluation.metrics.query_means import metric_keys

NAME = "depth_curve"
DEPTH = 50


class DepthCurve(metric_types.Metric):
    """Number of queries with a relevant row, and sums over them of recall@k and precision@k, k = 1 to DEPTH.

    The value is an array `(3, DEPTH)`. Recall and precision are those of `CatalogueRanking`.

    Args:
      name: of the metric.
    """

    def __init__(self, name: str = NAME) -> None:
        super().__init__(_depth_curve, name=name)


metric_types.register_metric(DepthCurve)


def curve(ranks: np.ndarray) -> np.ndarray:
    """Return the array of one output and query.

    Args:
      ranks: float64 `(num_relevant,)`, 1-based, at least one; what is not finite is a miss.

    Example:
      >>> curve(np.array([2.0, 4.0]))[:, :4].tolist()
      [[1.0, 1.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.3333333333333333, 0.5]]
    """
    found = ranks[ranks <= DEPTH].astype(np.int64)
    hits = np.cumsum(np.bincount(found - 1, minlength=DEPTH))
    return np.stack([np.ones(DEPTH), hits / len(ranks), hits / np.arange(1, DEPTH + 1)])


def _depth_curve(
    name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    models, outputs = model_names or [""], output_names or [""]
    keys = metric_keys([name], models, outputs)
    combiner = ArraySumCombiner(keys, (3, DEPTH))
    return [metric_types.MetricComputation(keys, [_Curves(models, outputs)], combiner)]


class _Curves(metric_types.Preprocessor):
    """From the rows of a query to the arrays of all models and outputs."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str]) -> None:
        super().__init__(name=f"curves:{model_names}:{output_names}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray]:
        """Yield float64 `(num_models * num_outputs, 3, DEPTH)`; nothing where no row is relevant."""
        relevant = row_values.labels(extracts, self._model_names[0]) > 0
        if relevant.any():
            ranks = row_values.outputs(extracts, self._model_names, self._output_names)[:, relevant]
            yield np.stack([curve(row) for row in ranks])
