"""What the Evaluator found, as rows: one metric on one slice, with the baseline's and popularity's value beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_model_analysis as tfma

from evaluation.eval_config import BASELINE, OUTPUTS
from evaluation.gate import MetricRow
from evaluation.metric_table import COUNTS, metric_names
from evaluation.metrics import depth_curve, popularity_profile, score_histogram
from evaluation.slices import MISSING, OTHER, OVERALL, Bucket, features_of
from models.registry import Task
from settings.evaluation import EvaluationSettings

# Metrics whose value is a table of counts.
ARRAYS = (depth_curve.NAME, popularity_profile.NAME, score_histogram.NAME)


class _Found(NamedTuple):
    """One value and what it belongs to; `kind` is empty or one of `evaluation.metrics.estimates`, such as `error`."""

    slice: str
    name: str
    kind: str
    model: str
    output: str
    value: float


def read_rows(evaluation_uri: str, task: Task, settings: EvaluationSettings) -> list[MetricRow]:
    """Return the rows of an evaluation: the overall slice first, then slices and metrics in the order of the settings.

    Args:
      evaluation_uri: folder that TFMA wrote.
      task: the model's task.
      settings: cut-offs and slices of the run.
    """
    own, popularity = OUTPUTS[task]
    cells: dict[tuple[str, str], dict[str, float]] = {}
    for found in _found(tfma.load_metrics(evaluation_uri)):
        if found.output == own:
            whose = "baseline" if found.model == BASELINE else ""
        elif found.output == popularity and found.model != BASELINE and found.name not in COUNTS:
            whose = "popularity"
        else:
            continue
        # `baseline`, `baseline_error`, `error`, `num_groups`, ...: the fields of a row.
        field = "_".join(filter(None, (whose, found.kind))) or "value"
        cells.setdefault((found.slice, found.name), {})[field] = found.value
    names = {name: place for place, name in enumerate(metric_names(task, settings))}
    order = {name: place for place, name in enumerate(sorted({s for s, _ in cells}, key=_slice_order(settings)))}
    return [
        MetricRow(slice=slice_, name=name, **cells[slice_, name])
        for slice_, name in sorted(cells, key=lambda cell: (order[cell[0]], names[cell[1]]))
    ]


def read_arrays(evaluation_uri: str, task: Task) -> dict[str, Any]:
    """Return the metrics of the overall slice that are arrays, by name and by whose they are.

    Example: `{"score_histogram": {"candidate": [[...], [...], [...]], "popularity": ...}}`; empty where there is none.
    """
    own, popularity = OUTPUTS[task]
    arrays: dict[str, dict[str, list[Any]]] = {}
    for metrics in tfma.load_metrics(evaluation_uri):
        if metrics.slice_key.single_slice_keys:
            continue
        for entry in metrics.metric_keys_and_values:
            key, value = entry.key, entry.value.array_value
            is_baseline = key.model_name == BASELINE
            if key.is_diff or key.name not in ARRAYS or (key.output_name == popularity and is_baseline):
                continue
            whose = "baseline" if is_baseline else "candidate" if key.output_name == own else "popularity"
            numbers = np.array(value.float64_values or value.float32_values).reshape(tuple(value.shape))
            arrays.setdefault(key.name, {})[whose] = numbers.tolist()
    return arrays


def _found(slices: Iterable[Any]) -> Iterable[_Found]:
    """Yield every value but TFMA's differences between models."""
    for metrics in slices:
        singles = metrics.slice_key.single_slice_keys
        name = ",".join(f"{single.column}={single.bytes_value.decode()}" for single in singles) or OVERALL
        for entry in metrics.metric_keys_and_values:
            key = entry.key
            if not key.is_diff and key.name not in ARRAYS:
                metric, _, kind = key.name.partition(".")
                if key.sub_key.HasField("top_k"):
                    metric = f"{metric}@{key.sub_key.top_k.value}"
                yield _Found(name, metric, kind, key.model_name, key.output_name, entry.value.double_value.value)


def _slice_order(settings: EvaluationSettings) -> Any:
    """Return a sort key: overall, the features in the order of the settings, then crosses; numbers in their order."""
    families = [slices.feature for slices in settings.slices]

    def key(name: str) -> tuple[Any, ...]:
        features = features_of(name)
        places = [families.index(feature) if feature in families else len(families) for feature in features]
        # A cross has no commas but those between its columns, or its order is that of the text.
        values = [part.partition("=")[2] for part in name.split(",", len(features) - 1)] if features else []
        return len(features), places, [(value in (MISSING, OTHER), _number(value), value) for value in values]

    return key


def _number(value: str) -> float:
    """Return where a slice value stands among numbers; after them if it is none."""
    try:
        return Bucket.parse(value).low
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return math.inf


def absent_columns(rows: Sequence[MetricRow], settings: EvaluationSettings) -> list[str]:
    """Return the slice columns that no row of the test split holds: probably misspelt."""
    found = {row.slice for row in rows}
    return [
        slices.feature
        for slices in settings.slices
        if {name for name in found if features_of(name) == (slices.feature,)} == {f"{slices.feature}={MISSING}"}
    ]
