from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components.statistics_gen import Executor
from datasets import example_files
from datasets.example_encoder import encode

ROWS = pa.RecordBatch.from_pydict(
    {
        "item_id": [[f"i{row % 7}"] for row in range(100)],
        "history": [[f"i{place % 5}" for place in range(row % 4)] or None for row in range(100)],
        "age": [[row % 9] if row % 3 else None for row in range(100)],
        "score": pa.array([[row / 100] for row in range(100)], pa.list_(pa.float32())),
    }
)


def test_they_are_those_of_tfdv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, statistics = standard_artifacts.Examples(), standard_artifacts.ExampleStatistics()
    examples.uri, examples.split_names = str(tmp_path / "examples"), '["train"]'
    statistics.uri = str(tmp_path / "statistics")
    folder = tmp_path / "examples" / "Split-train"
    folder.mkdir(parents=True)
    path = str(folder / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in encode(ROWS).to_pylist():
            writer.write(example)
    # Several batches, each handed over in small pieces.
    monkeypatch.setattr(example_files, "_BATCH_ROWS", 32)
    monkeypatch.setattr(example_files, "_READ_TOGETHER", 16)
    context = BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(tmp_path))
    Executor(context).Do({"examples": [examples]}, {"statistics": [statistics]}, {"splits": '["train"]'})
    (found,) = stats_artifact_utils.load_statistics(statistics, "train").proto().datasets
    (expected,) = generate_statistics_in_memory(ROWS, StatsOptions()).datasets
    assert found.num_examples == 100
    assert by_name(found) == by_name(expected)


def by_name(data: statistics_pb2.DatasetFeatureStatistics) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    return {feature.path.step[0]: feature for feature in data.features}
