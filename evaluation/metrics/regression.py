"""RMSE and MAE of rating models, over all rows of a slice."""

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

NAMES = ("rmse", "mae")


class Regression(metric_types.Metric):
    """Root mean squared and mean absolute error of predicted ratings.

        rmse = sqrt(mean((prediction - label)^2))
        mae  = mean(|prediction - label|)

    Both are NaN over zero rows, and not finite where a prediction is not.

    Args:
      name: name of the group; the metrics have the names above.
    """

    def __init__(self, name: str = "regression") -> None:
        super().__init__(_regression, name=name)


metric_types.register_metric(Regression)


class _Sums(NamedTuple):
    """The errors of one query, and how many rows they are summed over."""

    group: int
    sums: np.ndarray
    num_rows: int


def _regression(
    name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    """Return the one computation of both metrics, all models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    estimates = Estimates(NAMES, models, outputs)
    return [
        metric_types.MetricComputation(estimates.keys, [_ErrorSums(models, outputs)], _RegressionCombiner(estimates))
    ]


class _ErrorSums(metric_types.Preprocessor):
    """From the rows of a query to the sums of their errors."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str]) -> None:
        super().__init__(name=f"error_sums:{model_names}:{output_names}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)

    def process(self, extracts: types.Extracts) -> Iterator[_Sums]:
        """Yield the sums of squared and absolute errors, `(num_models * num_outputs, 2)`, flat."""
        labels = row_values.labels(extracts, self._model_names[0])
        errors = row_values.outputs(extracts, self._model_names, self._output_names) - labels
        sums = np.stack([np.square(errors).sum(axis=1), np.abs(errors).sum(axis=1)], axis=1)
        yield _Sums(row_values.group(extracts), sums.reshape(-1), len(labels))


class _RegressionCombiner(beam.CombineFn):
    """Sums of errors and number of rows, by group of users: the last column counts."""

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates

    def create_accumulator(self) -> np.ndarray:
        return np.zeros((NUM_GROUPS, self._estimates.num_values + 1))

    def add_input(self, accumulator: np.ndarray, element: _Sums) -> np.ndarray:
        accumulator[element.group, :-1] += element.sums
        accumulator[element.group, -1] += element.num_rows
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged += accumulator
        return merged

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        total = accumulator.sum(axis=0)
        with np.errstate(invalid="ignore"):
            left = total - accumulator
        return self._estimates.fill(_means(total[None])[0], _means(left), accumulator[:, -1:])


def _means(sums: np.ndarray) -> np.ndarray:
    """Return RMSE and MAE from rows of sums and, last, counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, :-1] / sums[:, -1:]
    # What is left of a perfect model's errors after a subtraction may lie below 0.
    means[:, ::2] = np.sqrt(np.maximum(means[:, ::2], 0))
    return means
