"""The combiner of metrics that are tables of counts: one array a model and output, added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types


class ArraySumCombiner(beam.CombineFn):
    """Adds arrays up; the first axis goes by key.

    Args:
      keys: one a model and output.
      shape: of each key's array.
    """

    def __init__(self, keys: Sequence[metric_types.MetricKey], shape: tuple[int, ...]) -> None:
        self._keys = list(keys)
        self._shape = shape

    def create_accumulator(self) -> np.ndarray:
        """Return the sums of nothing."""
        return np.zeros((len(self._keys), *self._shape))

    def add_input(self, accumulator: np.ndarray, element: np.ndarray) -> np.ndarray:
        """Add one array."""
        accumulator += element
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        """Add sums up."""
        return sum(accumulators, self.create_accumulator())

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, np.ndarray]:
        """Return each key's array."""
        return dict(zip(self._keys, accumulator, strict=True))
