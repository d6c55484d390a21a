"""Drift and skew: how far columns are from what they were, and from what serving is asked; by TFDV's comparators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl, stats_options
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.anomaly_table import Finding
from components.inferred_schema import TRAIN
from datasets.quarantine import Quarantine
from datasets.tf_examples import read_examples
from settings.validation import DistanceRule

Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList
_NAMES = {
    "jensen_shannon": ("Jensen-Shannon divergence", anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE),
    "l_infinity": ("L-infinity distance", anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY),
}


def drift(
    rules: Sequence[DistanceRule], schema: schema_pb2.Schema, now: Statistics, before: Statistics
) -> list[Finding]:
    """Return the rules that train's statistics break beside those of the data before.

    Args:
      rules: column, measure and largest distance.
      schema: types of the columns.
      now: statistics of train.
      before: statistics of the earlier train.
    """
    compared = _with_comparators(schema, rules, "drift_comparator")
    found = tfdv.validate_statistics(now, compared, previous_statistics=before)
    measurable = _measurable(schema, now, before)
    return list(_broken(rules, found, measurable, "drift", "drift_measurements"))


def skew(
    rules: Sequence[DistanceRule], schema: schema_pb2.Schema, train: Statistics, requests: Statistics
) -> list[Finding]:
    """Return the rules that train's statistics break beside those of the requests; arguments as of `drift`."""
    compared = _with_comparators(schema, rules, "skew_comparator")
    found = tfdv.validate_statistics(train, compared, serving_statistics=requests)
    measurable = _measurable(schema, train, requests)
    return list(_broken(rules, found, measurable, "skew", "skew_measurements"))


def request_statistics(path: Path) -> Statistics:
    """Return the statistics of logged requests.

    Raises:
      DataError: the file is missing, empty or damaged.
    """
    table = read_examples(path, Quarantine()).table
    columns = [_as_lists(column.combine_chunks()) for column in table.columns]
    batch = pa.RecordBatch.from_arrays(columns, table.column_names)
    return stats_impl.generate_statistics_in_memory(batch, stats_options.StatsOptions())


def _as_lists(column: pa.Array) -> pa.Array:
    """Return single values as TFDV takes them: lists of one, a missing one as a missing list."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_null(column.type):
        return column
    return pa.array([None if value is None else [value] for value in column.to_pylist()], pa.large_list(column.type))


def _with_comparators(schema: schema_pb2.Schema, rules: Sequence[DistanceRule], kind: str) -> schema_pb2.Schema:
    """Return a copy of the schema with the rules' thresholds; of columns that it lacks nothing is said."""
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    features = {feature.name: feature for feature in result.feature}
    for rule in rules:
        if rule.feature in features:
            comparator = getattr(features[rule.feature], kind)
            field = "jensen_shannon_divergence" if rule.measure == "jensen_shannon" else "infinity_norm"
            getattr(comparator, field).threshold = rule.at_most
    return result


def _measurable(schema: schema_pb2.Schema, *both: Statistics) -> set[tuple[str, str]]:
    """Return which columns can be measured how: TFDV finds no distance, 0, where there is nothing to compare."""
    present = set.intersection(*(_columns(statistics) for statistics in both))
    texts = {feature.name for feature in schema.feature if feature.type == schema_pb2.BYTES}
    return {(name, "jensen_shannon") for name in present} | {(name, "l_infinity") for name in present & texts}


def _columns(statistics: Statistics) -> set[str]:
    """Return the columns that hold a value."""
    return {
        feature.path.step[0]
        for feature in statistics.datasets[0].features
        if (kind := feature.WhichOneof("stats")) and getattr(feature, kind).common_stats.num_non_missing
    }


def _broken(
    rules: Sequence[DistanceRule],
    anomalies: anomalies_pb2.Anomalies,
    measurable: set[tuple[str, str]],
    kind: str,
    measurements: str,
) -> Iterator[Finding]:
    """Yield a finding for each rule that is broken, and for each that could not be measured: it may not pass so."""
    measured = {
        (info.path.step[0], measurement.type): measurement.value
        for info in anomalies.drift_skew_info
        for measurement in getattr(info, measurements)
    }
    for rule in rules:
        name, code = _NAMES[rule.measure]
        value = measured.get((rule.feature, code)) if (rule.feature, rule.measure) in measurable else None
        allowed = f"at most {rule.at_most:g}"
        if value is None:
            yield Finding(TRAIN, rule.feature, f"{kind}: {name}", "not in both data, or not of this type", allowed)
        elif not value <= rule.at_most:
            yield Finding(TRAIN, rule.feature, f"{kind}: {name}", f"{value:.4g}", allowed)
