"""Whether a model's scores are finite and differ at all, and how many rows were seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.query_means import metric_keys

NAMES = ("finite", "spread", "num_examples")
# Outputs of the `evaluate` signature, beside the one that is measured.
FINITE = "finite"
SPREAD = "spread"


class ScoreHealth(metric_types.Metric):
    """Share of rows with finite scores, spread of the scores, number of rows.

        finite = share of rows where the model says that all its scores are finite, and the outputs are finite numbers
        spread = per_row_spread:  max over rows of the model's own `spread` (highest - lowest score of the catalogue)
                 otherwise:       highest - lowest score over all rows of the slice
        num_examples = number of rows

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
        keys = metric_keys(NAMES, [model], [output])
        rows = _RowHealth(model, output, per_row_spread)
        computations.append(metric_types.MetricComputation(keys, [rows], _ScoreHealthCombiner(keys)))
    return computations


class _Health(NamedTuple):
    """Rows, rows with finite scores, and the interval of scores (or 0 and the largest spread)."""

    num_rows: int
    num_finite: int
    lowest: float
    highest: float


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
        yield _Health(len(finite), int(finite.sum()), lowest, float(values.max(initial=-np.inf)))


class _ScoreHealthCombiner(beam.CombineFn):
    """Counts and extremes."""

    def __init__(self, keys: Sequence[metric_types.MetricKey]) -> None:
        self._keys = list(keys)

    def create_accumulator(self) -> _Health:
        return _Health(0, 0, np.inf, -np.inf)

    def add_input(self, accumulator: _Health, element: _Health) -> _Health:
        return _Health(
            accumulator.num_rows + element.num_rows,
            accumulator.num_finite + element.num_finite,
            min(accumulator.lowest, element.lowest),
            max(accumulator.highest, element.highest),
        )

    def merge_accumulators(self, accumulators: Iterable[_Health]) -> _Health:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged = self.add_input(merged, accumulator)
        return merged

    def extract_output(self, accumulator: _Health) -> dict[metric_types.MetricKey, float]:
        num_rows, num_finite, lowest, highest = accumulator
        finite = num_finite / num_rows if num_rows else float("nan")
        spread = highest - lowest if num_finite else float("nan")
        return dict(zip(self._keys, (finite, spread, float(num_rows)), strict=True))
