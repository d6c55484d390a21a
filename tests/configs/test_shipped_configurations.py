"""Every shipped configuration is valid, and those of data at hand fit the data."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from components.anomaly_table import findings
from components.inferred_schema import inferred_schema
from datasets import sources
from datasets.timeline import Timeline
from settings.config import load
from tests.components.split_statistics import statistics_of
from transforms.preprocessing import preprocessing_fn

CONFIGS = Path("configs")
MOVIELENS = CONFIGS / "movielens_100k.yaml"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_it_is_valid_and_named_after_its_file(path: Path) -> None:
    config = load(path)
    assert config.name == path.stem
    assert config.gate.popularity_metric


def test_ones_own_data_take_ten_lines() -> None:
    lines = [line for line in (CONFIGS / "own_data.yaml").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) <= 10


@pytest.fixture(scope="module")
def statistics(real_data: Callable[[str], Path]) -> dict[str, Any]:
    config = load(MOVIELENS, data_path=str(real_data("ml-100k")))
    timeline = Timeline(sources.read(config.data.source), config.data)
    return {
        split: statistics_of(pa.Table.from_batches(timeline.blocks(split)).combine_chunks().to_batches()[0])
        for split in ("train", "eval", "test")
    }


def test_movielens_features_and_slices_fit_the_columns(statistics: dict[str, Any]) -> None:
    config = load(MOVIELENS)
    schema = inferred_schema(statistics)
    columns = {feature.name for feature in schema.feature}
    assert {setting.feature for setting in config.evaluation.slices} <= columns
    features = json.dumps([record.model_dump(mode="json") for record in config.features])
    function = functools.partial(preprocessing_fn, custom_config={"features": features})
    used = tft.get_transform_input_columns(function, raw_types(schema))  # traces the graph: types are checked too
    assert set(used) == {record.source for record in config.features}


def raw_types(schema: schema_pb2.Schema) -> dict[str, tf.TypeSpec]:
    """The tensor types under which Transform hands the columns over."""
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    return {name: tf.SparseTensorSpec([None, None], column.dtype) for name, column in spec.items()}


def test_movielens_fulfils_its_curated_schema(statistics: dict[str, Any]) -> None:
    text = (CONFIGS / "schemas" / "movielens_100k.pbtxt").read_text()
    schema = text_format.Parse(text, schema_pb2.Schema())
    anomalies = {split: tfdv.validate_statistics(found, schema) for split, found in statistics.items()}
    assert findings(anomalies, schema) == []
    assert {feature.name for feature in schema.feature} == {f.name for f in inferred_schema(statistics).feature}
