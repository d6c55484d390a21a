"""AUC, log loss and calibration of ranking models, over all rows of a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.query_means import metric_keys

NAMES = ("auc", "log_loss", "calibration")
# Probabilities are float32: nothing nearer to 0 or 1 can be told from them.
_CLIP = float(np.finfo(np.float32).eps)


class Classification(metric_types.Metric):
    """Exact AUC, log loss and calibration of a probability against labels 0 and 1.

    With probabilities `p` and labels `y`:

        auc         = P(p_positive > p_negative) + P(p_positive = p_negative) / 2, over all pairs
        log_loss    = -mean(y * log(p) + (1 - y) * log(1 - p)), p clipped to [eps, 1 - eps] of float32
        calibration = mean(p) / mean(y)

    TFMA's own AUC counts 10,000 thresholds between 0 and 1; this one is exact and keeps 16 bytes a row, model and
    output. AUC is NaN where only one class occurs, calibration where no label is 1; all are NaN where a probability is
    not finite or not in [0, 1].

    Args:
      name: name of the group; the metrics have the names above.
    """

    def __init__(self, name: str = "classification") -> None:
        super().__init__(_classification, name=name)


metric_types.register_metric(Classification)


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the exact AUC; equal scores count one half.

    Args:
      scores: float64 `(num_rows,)`.
      positive: bool `(num_rows,)`.

    Example:
      >>> area_under_curve(np.array([0.9, 0.8, 0.8]), np.array([True, True, False]))
      0.75
    """
    num_positive = int(positive.sum())
    num_pairs = num_positive * (len(positive) - num_positive)
    if not num_pairs or not np.isfinite(scores).all():
        return float("nan")
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(size) - (size - 1) / 2
    rank_sum = float(middle_rank[group][positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / num_pairs


def _classification(
    name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    keys = metric_keys(NAMES, models, outputs)
    return [metric_types.MetricComputation(keys, [_LabelledScores(models, outputs)], _ClassificationCombiner(keys))]


class _LabelledScores(metric_types.Preprocessor):
    """From the rows of a query to a matrix: the labels first, then the scores of each model and output."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str]) -> None:
        super().__init__(name=f"labelled_scores:{model_names}:{output_names}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray]:
        """Yield float64 `(1 + num_models * num_outputs, num_rows)`."""
        labels = row_values.labels(extracts, self._model_names[0])
        yield np.vstack([labels, row_values.outputs(extracts, self._model_names, self._output_names)])


class _ClassificationCombiner(beam.CombineFn):
    """Keeps all rows of a slice, because an exact AUC needs their order."""

    def __init__(self, keys: Sequence[metric_types.MetricKey]) -> None:
        self._keys = list(keys)

    def create_accumulator(self) -> list[np.ndarray]:
        return []

    def add_input(self, accumulator: list[np.ndarray], element: np.ndarray) -> list[np.ndarray]:
        accumulator.append(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[np.ndarray]]) -> list[np.ndarray]:
        return [rows for accumulator in accumulators for rows in accumulator]

    def compact(self, accumulator: list[np.ndarray]) -> list[np.ndarray]:
        return [np.hstack(accumulator)] if accumulator else []

    def extract_output(self, accumulator: list[np.ndarray]) -> dict[metric_types.MetricKey, float]:
        if not accumulator:
            return dict.fromkeys(self._keys, float("nan"))
        labels, *scores = np.hstack(accumulator)
        values = [value for row in scores for value in _metrics(row, labels)]
        return dict(zip(self._keys, values, strict=True))


def _metrics(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Return the values in the order of `NAMES`."""
    if not ((scores >= 0) & (scores <= 1)).all():
        return (float("nan"),) * 3
    clipped = np.clip(scores, _CLIP, 1 - _CLIP)
    log_loss = -np.mean(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped))
    mean_label = labels.mean()
    calibration = scores.mean() / mean_label if mean_label else np.nan
    return area_under_curve(scores, labels > 0), float(log_loss), float(calibration)
