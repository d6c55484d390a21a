"""The schema that the data ask for, and where it differs from the reviewed one."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
from tensorflow_data_validation.statistics import stats_impl, stats_options
from tensorflow_metadata.proto.v0 import schema_pb2

from components.anomaly_table import describe
from components.inferred_schema import inferred_schema
from datasets import columns as c
from datasets import sources
from datasets.quarantine import Quarantine
from datasets.timeline import Timeline
from settings.data import DataSettings

ABSENT = "not in it"


class Difference(NamedTuple):
    """What two schemas ask of one feature, in words."""

    feature: str
    reviewed: str
    inferred: str


def schema_of(settings: DataSettings) -> schema_pb2.Schema:
    """Return the schema that a run over these data would infer, without running the pipeline.

    Raises:
      DataError: an input is missing or damaged.
    """
    timeline = Timeline(sources.read(settings.source, Quarantine(settings.bad_rows)), settings)
    statistics = {}
    for split in c.EVENT_SPLITS:
        table = pa.Table.from_batches(list(timeline.blocks(split))).combine_chunks()
        options = stats_options.StatsOptions()
        statistics[split] = stats_impl.generate_statistics_in_memory(table.to_batches()[0], options)
    return inferred_schema(statistics)


def differences(reviewed: schema_pb2.Schema, inferred: schema_pb2.Schema) -> list[Difference]:
    """Return the features of which the schemas ask different things, by name."""
    words = [{feature.name: describe(feature, schema) for feature in schema.feature} for schema in (reviewed, inferred)]
    return [
        Difference(name, *asked)
        for name in sorted(words[0].keys() | words[1].keys())
        if len(set(asked := [found.get(name, ABSENT) for found in words])) > 1
    ]
