"""Whether a model's scores are finite and differ at all, whether labels do, and how many rows were seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.query_means import metric_keys

NAMES = ("finite", "spread", "num_examples", "label_spread")
# Outputs of the `evaluate` signature, beside the one that is measured.
FINITE = "finite"
SPREAD = "spread"


class ScoreHealth(metric_types.Metric):
    """Share of rows with finite scores, spread of the scores, spread of the labels, number of rows.

        finite = share of rows where the model says that all its scores are finite, and the outputs are finite numbers
        spread = per_row_spread:  max over rows of the model's own `spread` (highest - lowest score of the catalogue)
                 otherwise:       highest - lowest score over all rows of the slice
        num_examples = number of rows
        label_spread = highest - lowest label over all rows, without per_row_spread; of one class nothing is told apart

    Rows that are not finite are left out of `spread`, which is NaN when none is left. A spread of 0 means that the
    model tells nothing apart.

    Args:
      per_row_spread: True where each row is scored against a catalogue (retrieval).
      name: name of the group; the metrics have the names above.
    """

    def __init__(self, per_row_spread: bool, name: str = "score_health") -> None:
        super().__init__(_score_health, per_row_spread=per_row_spread, name=name)


metric_types.register_metric(ScoreHealth)


def _score_health(
    per_row_spread: bool, name: str, model_names: list[str] | None = None, output_names: list[str] | None = None
) -> metric_types.MetricComputations:
    """Return one computation a model."""
    del name
    (output,) = output_names or [""]
    computations = []
    for model in model_names or [""]:
        # All rows of a retrieval model are what users chose: their labels need not differ.
        keys = metric_keys(NAMES[:-1] if per_row_spread else NAMES, [model], [output])
        rows = _RowHealth(model, output, per_row_spread)
        computations.append(metric_types.MetricComputation(keys, [rows], _ScoreHealthCombiner(keys)))
    return computations


class _Health(NamedTuple):
    """Rows, rows with finite scores, the interval of scores (or 0 and the largest spread), that of the labels."""

    num_rows: int = 0
    num_finite: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    lowest_label: float = np.inf
    highest_label: float = -np.inf


class _RowHealth(metric_types.Preprocessor):
    """From the rows of a query to their health."""

    def __init__(self, model_name: str, output_name: str, per_row_spread: bool) -> None:
        super().__init__(name=f"row_health:{model_name}:{output_name}:{per_row_spread}")
        self._model_name = model_name
        self._output_name = output_name
        self._per_row_spread = per_row_spread

    def process(self, extracts: types.Extracts) -> Iterator[_Health]:
        """Yield the health of one query's rows."""
        measured = [self._output_name, FINITE, *([SPREAD] if self._per_row_spread else [])]
        columns = row_values.outputs(extracts, [self._model_name], measured)
        finite = (columns[1] == 1) & np.isfinite(columns).all(axis=0)
        values = columns[2 if self._per_row_spread else 0][finite]
        lowest = 0.0 if self._per_row_spread else float(values.min(initial=np.inf))
        highest = float(values.max(initial=-np.inf))
        labels = row_values.labels(extracts, self._model_name)
        yield _Health(len(finite), int(finite.sum()), lowest, highest, float(labels.min()), float(labels.max()))


class _ScoreHealthCombiner(beam.CombineFn):
    """Counts and extremes."""

    def __init__(self, keys: Sequence[metric_types.MetricKey]) -> None:
        self._keys = list(keys)

    def create_accumulator(self) -> _Health:
        return _Health()

    def add_input(self, accumulator: _Health, element: _Health) -> _Health:
        return _Health(
            accumulator.num_rows + element.num_rows,
            accumulator.num_finite + element.num_finite,
            min(accumulator.lowest, element.lowest),
            max(accumulator.highest, element.highest),
            min(accumulator.lowest_label, element.lowest_label),
            max(accumulator.highest_label, element.highest_label),
        )

    def merge_accumulators(self, accumulators: Iterable[_Health]) -> _Health:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged = self.add_input(merged, accumulator)
        return merged

    def extract_output(self, accumulator: _Health) -> dict[metric_types.MetricKey, float]:
        num_rows, num_finite, *_ = accumulator
        finite = num_finite / num_rows if num_rows else float("nan")
        spread = accumulator.highest - accumulator.lowest if num_finite else float("nan")
        label_spread = accumulator.highest_label - accumulator.lowest_label if num_rows else float("nan")
        return dict(zip(self._keys, (finite, spread, float(num_rows), label_spread), strict=False))
