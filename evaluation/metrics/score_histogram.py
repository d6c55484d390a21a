"""How probabilities and labels are distributed: what calibration and precision-recall curves are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.array_sums import ArraySumCombiner
from evaluation.metrics.query_means import metric_keys

NAME = "score_histogram"
NUM_BINS = 50


class ScoreHistogram(metric_types.Metric):
    """Rows, sum of the probabilities and sum of the labels in bins of equal width over [0, 1].

    The value is an array `(3, NUM_BINS)`. Rows whose probability is not in [0, 1] are left out.

    Args:
      name: of the metric.
    """

    def __init__(self, name: str = NAME) -> None:
        super().__init__(_score_histogram, name=name)


metric_types.register_metric(ScoreHistogram)


def histogram(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the array of one output.

    Example:
      >>> histogram(np.array([0.5, 0.51, 1.0]), np.array([1.0, 0.0, 1.0]))[:, [25, 49]].tolist()
      [[2.0, 1.0], [1.01, 1.0], [1.0, 1.0]]
    """
    valid = (scores >= 0) & (scores <= 1)
    scores, labels = scores[valid], labels[valid]
    bins = np.minimum((scores * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    return np.stack(
        [np.bincount(bins, weights=of, minlength=NUM_BINS) for of in (np.ones_like(scores), scores, labels)]
    )


def _score_histogram(
    name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    models, outputs = model_names or [""], output_names or [""]
    keys = metric_keys([name], models, outputs)
    combiner = ArraySumCombiner(keys, (3, NUM_BINS))
    return [metric_types.MetricComputation(keys, [_Histograms(models, outputs)], combiner)]


class _Histograms(metric_types.Preprocessor):
    """From the rows of a query to the arrays of all models and outputs."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str]) -> None:
        super().__init__(name=f"histograms:{model_names}:{output_names}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray]:
        """Yield float64 `(num_models * num_outputs, 3, NUM_BINS)`."""
        labels = row_values.labels(extracts, self._model_names[0])
        scores = row_values.outputs(extracts, self._model_names, self._output_names)
        yield np.stack([histogram(row, labels) for row in scores])
