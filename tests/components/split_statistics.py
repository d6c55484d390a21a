"""Real TFDV statistics of a few rows, and the artifacts that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from tensorflow_data_validation.statistics import stats_impl, stats_options
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.types import artifact_utils, standard_artifacts

Rows = list[dict[str, Any]]
TYPES = {int: pa.int64(), float: pa.float32(), str: pa.large_string()}


def event(user: int, item: int, stars: float, **more: Any) -> dict[str, Any]:
    """A row as ExampleGen writes it; `more` adds, replaces or (None) removes columns."""
    time = 880_000_000 + 60 * user + item
    row = {
        "user_id": str(user),
        "item_id": str(item),
        "timestamp": time,
        "rating": float(stars),
        "relevant": 1.0,
        "liked": float(stars >= 4),
        "query_id": f"{user}@{time}",
        "user_event_count": item,
        "item_event_count": user,
        "history_item_ids": [str(earlier) for earlier in range(item)] or None,
        "user_rating_mean": 3.5 if item else None,
        "is_sequence_end": item % 2,
        "gender": "FM"[user % 2],
        "age": 20 + user,
        **more,
    }
    return {name: value for name, value in row.items() if value is not None}


def events(users: range, items: range, **more: Any) -> Rows:
    """Every user with every item, ratings 1 to 5 in turn."""
    return [event(user, item, 1 + (user + item) % 5, **more) for user in users for item in items]


def statistics_of(rows: Rows | pa.RecordBatch) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return what StatisticsGen computes for these rows."""
    batch = rows if isinstance(rows, pa.RecordBatch) else _batch(rows)
    return stats_impl.generate_statistics_in_memory(batch, stats_options.StatsOptions())


def statistics_artifact(folder: Path, splits: Mapping[str, Rows]) -> types.Artifact:
    """Return an ExampleStatistics artifact of these splits."""
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(splits))
    for split, rows in splits.items():
        path = folder / f"Split-{split}" / "FeatureStats.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(statistics_of(rows).SerializeToString())
    return artifact


def _batch(rows: Rows) -> pa.RecordBatch:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lists = {name: [_listed(row.get(name)) for row in rows] for name in names}
    types_of = {name: TYPES[type(next(v[0] for v in values if v))] for name, values in lists.items()}
    arrays = [pa.array(values, type=pa.large_list(types_of[name])) for name, values in lists.items()]
    return pa.RecordBatch.from_arrays(arrays, names)


def _listed(value: Any) -> list[Any] | None:
    return value if value is None or isinstance(value, list) else [value]
