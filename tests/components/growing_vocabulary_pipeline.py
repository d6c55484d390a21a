"""A pipeline of tiny nodes around Transform, whose vocabulary of items grows from span to span."""

import json
from pathlib import Path

import pyarrow as pa
import tensorflow as tf
from tensorflow_transform.tf_metadata.schema_utils import schema_from_feature_spec
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Examples, Schema, TransformGraph
from tfx.utils import io_utils

from components.resolver import LatestOtherTransformGraph
from components.transform import Transform
from datasets.example_encoder import encode

FEATURES = [
    {"name": "item_id", "kind": "categorical", "tower": "candidate", "grow": True},
    {"name": "user_id", "kind": "categorical", "tower": "query"},
]


@component
def Events(examples: OutputArtifact[Examples], schema: OutputArtifact[Schema], rows: Parameter[str]):  # noqa: N802
    folder = Path(examples.uri) / "Split-train"
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001")) as writer:
        for example in encode(pa.RecordBatch.from_pylist(json.loads(rows))).to_pylist():
            writer.write(example)
    examples.split_names = '["train"]'
    columns = {"user_id": tf.io.VarLenFeature(tf.int64), "item_id": tf.io.VarLenFeature(tf.string)}
    io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", schema_from_feature_spec(columns))


def create(root: Path, events: list[tuple[int, str]]) -> Pipeline:
    read = Events(rows=json.dumps([{"user_id": [user], "item_id": [item]} for user, item in events]))
    examples = read.outputs["examples"]
    earlier = Resolver(
        strategy_class=LatestOtherTransformGraph, transform_graph=Channel(type=TransformGraph), examples=examples
    ).with_id("VocabularyResolver")
    transform = Transform(
        examples=examples,
        schema=read.outputs["schema"],
        features=json.dumps(FEATURES),
        earlier_graph=earlier.outputs["transform_graph"],
    )
    return Pipeline(
        pipeline_name="growing",
        pipeline_root=str(root / "artifacts"),
        components=[read, earlier, transform],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
        beam_pipeline_args=["--runner=FnApiRunner"],
    )
