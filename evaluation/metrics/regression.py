"""RMSE and MAE of rating models, over all rows of a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.query_means import metric_keys

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


def _regression(
    name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    """Return the one computation of both metrics, all models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    keys = metric_keys(NAMES, models, outputs)
    return [metric_types.MetricComputation(keys, [_ErrorSums(models, outputs)], _RegressionCombiner(keys))]


class _ErrorSums(metric_types.Preprocessor):
    """From the rows of a query to the sums of their errors."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str]) -> None:
        super().__init__(name=f"error_sums:{model_names}:{output_names}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)

    def process(self, extracts: types.Extracts) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the sums of squared and absolute errors `(num_models * num_outputs, 2)`, and the number of rows."""
        labels = row_values.labels(extracts, self._model_names[0])
        errors = row_values.outputs(extracts, self._model_names, self._output_names) - labels
        yield np.stack([np.square(errors).sum(axis=1), np.abs(errors).sum(axis=1)], axis=1), len(labels)


class _RegressionCombiner(beam.CombineFn):
    """Sums of errors and number of rows."""

    def __init__(self, keys: Sequence[metric_types.MetricKey]) -> None:
        self._keys = list(keys)

    def create_accumulator(self) -> tuple[np.ndarray, int]:
        return np.zeros((len(self._keys) // len(NAMES), len(NAMES))), 0

    def add_input(self, accumulator: tuple[np.ndarray, int], element: tuple[np.ndarray, int]) -> tuple[np.ndarray, int]:
        return accumulator[0] + element[0], accumulator[1] + element[1]

    def merge_accumulators(self, accumulators: Iterable[tuple[np.ndarray, int]]) -> tuple[np.ndarray, int]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged = self.add_input(merged, accumulator)
        return merged

    def extract_output(self, accumulator: tuple[np.ndarray, int]) -> dict[metric_types.MetricKey, float]:
        sums, num_rows = accumulator
        means = sums / num_rows if num_rows else np.full_like(sums, np.nan)
        means[:, 0] = np.sqrt(means[:, 0])
        return dict(zip(self._keys, means.reshape(-1).tolist(), strict=True))
