"""AUC, log loss and calibration of ranking models, over all rows of a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.intervals import NUM_GROUPS
from evaluation.metrics import row_values
from evaluation.metrics.estimates import Estimates

NAMES = ("auc", "log_loss", "calibration")
# Probabilities are float32: nothing nearer to 0 or 1 can be told from them.
_CLIP = float(np.finfo(np.float32).eps)


class Classification(metric_types.Metric):
    """Exact AUC, log loss and calibration of a probability against labels 0 and 1.

    With probabilities `p` and labels `y`:

        auc         = P(p_positive > p_negative) + P(p_positive = p_negative) / 2, over all pairs
        log_loss    = -mean(y * log(p) + (1 - y) * log(1 - p)), p clipped to [eps, 1 - eps] of float32
        calibration = mean(p) / mean(y)

    TFMA's own AUC counts 10,000 thresholds between 0 and 1; this one is exact and keeps 8 bytes a row, model and
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


def areas_without_groups(scores: np.ndarray, positive: np.ndarray, groups: np.ndarray, num_groups: int) -> np.ndarray:
    """Return the exact AUC without the rows of each group, float64 `(num_groups,)`.

    The won pairs that a group has a part in are subtracted: those of its positives, of its negatives, less those of
    both, which went twice.

    Args:
      scores: float64 `(num_rows,)`, finite.
      positive: bool `(num_rows,)`.
      groups: int64 `(num_rows,)`, in `[0, num_groups)`.
      num_groups: how many there are.

    Example:
      >>> scores, positive = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False])
      >>> areas_without_groups(scores, positive, np.array([0, 1, 1, 0]), 2)
      array([0.5, 1. ])
    """
    won = _pairs_won(scores, positive, np.zeros_like(groups))
    own = _pairs_won(scores, positive, groups)
    positives = np.bincount(groups[positive], minlength=num_groups)
    negatives = np.bincount(groups[~positive], minlength=num_groups)

    def by_group(pairs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.bincount(groups[rows], weights=pairs[rows], minlength=num_groups)

    total = won[positive].sum()
    left = total - by_group(won, positive) - by_group(won, ~positive) + by_group(own, positive)
    with np.errstate(divide="ignore", invalid="ignore"):
        return left / ((positives.sum() - positives) * (negatives.sum() - negatives))


def _pairs_won(scores: np.ndarray, positive: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return for each positive the negatives below it in its group, for each negative the positives above it.

    Equal scores count one half.
    """
    order = np.lexsort((scores, groups))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(scores[order]) != 0) | (np.diff(groups[order]) != 0)
    tie = np.cumsum(is_new) - 1
    num_negative, num_positive = (np.bincount(tie, weights=kind[order]) for kind in (~positive, positive))
    first = np.flatnonzero(is_new)
    group_of_tie = groups[order][first]
    starts = np.searchsorted(group_of_tie, group_of_tie)
    ends = np.searchsorted(group_of_tie, group_of_tie, side="right")
    below = np.concatenate([[0.0], np.cumsum(num_negative)])
    above = np.concatenate([[0.0], np.cumsum(num_positive)])
    ties = np.arange(len(first))
    negatives_below = below[ties] - below[starts] + num_negative / 2
    positives_above = above[ends] - above[ties + 1] + num_positive / 2
    pairs = np.empty(len(order))
    pairs[order] = np.where(positive[order], negatives_below[tie], positives_above[tie])
    return pairs


def _classification(
    name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    estimates = Estimates(NAMES, models, outputs)
    rows = _LabelledScores(models, outputs)
    return [metric_types.MetricComputation(estimates.keys, [rows], _ClassificationCombiner(estimates))]


class _LabelledScores(metric_types.Preprocessor):
    """From the rows of a query to a matrix: group of users, labels, then the scores of each model and output."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str]) -> None:
        super().__init__(name=f"labelled_scores:{model_names}:{output_names}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray]:
        """Yield float64 `(2 + num_models * num_outputs, num_rows)`."""
        labels = row_values.labels(extracts, self._model_names[0])
        groups = np.full_like(labels, row_values.group(extracts))
        yield np.vstack([groups, labels, row_values.outputs(extracts, self._model_names, self._output_names)])


class _ClassificationCombiner(beam.CombineFn):
    """Keeps all rows of a slice, because an exact AUC needs their order."""

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates

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
        num_values = self._estimates.num_values
        if not accumulator:
            accumulator = [np.empty((2 + num_values // len(NAMES), 0))]
        groups, labels, *scores = np.hstack(accumulator)
        groups = groups.astype(np.int64)
        values = np.concatenate([_metrics(row, labels, groups) for row in scores], axis=1)
        sizes = np.bincount(groups, minlength=NUM_GROUPS)[:, None]
        return self._estimates.fill(values[0], values[1:], sizes)


def _metrics(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the values in the order of `NAMES`, over all rows and then without each group."""
    values = np.full((1 + NUM_GROUPS, len(NAMES)), np.nan)
    if not len(scores) or not ((scores >= 0) & (scores <= 1)).all():
        return values
    clipped = np.clip(scores, _CLIP, 1 - _CLIP)
    losses = -(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped))
    columns = [np.ones_like(labels), losses, scores, labels]
    by_group = np.stack([np.bincount(groups, weights=row, minlength=NUM_GROUPS) for row in columns])
    total = by_group.sum(axis=1, keepdims=True)
    sums = np.hstack([total, total - by_group])
    positive = labels > 0
    values[0, 0] = area_under_curve(scores, positive)
    values[1:, 0] = areas_without_groups(scores, positive, groups, NUM_GROUPS)
    with np.errstate(divide="ignore", invalid="ignore"):
        values[:, 1] = sums[1] / sums[0]
        values[:, 2] = np.where(sums[3] > 0, sums[2] / sums[3], np.nan)
    return values
