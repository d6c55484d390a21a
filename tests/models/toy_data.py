"""A checkerboard world in the layout of ExampleGen: even users choose even items, odd users odd ones."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.example_parser import ExampleParser
from models.feature_space import FeatureSpace
from models.training_data import Rows, TrainingData, Users, read_catalogue, read_rows, read_users
from settings.features import Feature, FeatureList
from tests.conftest import SHARED

NUM_USERS = 30
NUM_ITEMS = 24
# In the catalogue, never in train; its genre says to which half it belongs.
COLD_ITEM = 24
HISTORY_LENGTH = 8

FEATURES: list[dict[str, Any]] = [
    {"name": "user_id", "kind": "categorical", "tower": "query"},
    {
        "name": "history",
        "kind": "sequence",
        "tower": "query",
        "column": "history_item_ids",
        "vocabulary": "item_id",
        "max_length": HISTORY_LENGTH,
    },
    {"name": "age", "kind": "numeric", "tower": "query"},
    {"name": "item_id", "kind": "categorical", "tower": "candidate", "num_oov_buckets": 2},
    {"name": "genres", "kind": "multivalent", "tower": "candidate", "max_length": 3},
    {"name": "year", "kind": "numeric", "tower": "candidate", "missing_indicator": True},
]
RECORDS: tuple[Feature, ...] = FeatureList.model_validate({"records": FEATURES}).records


@dataclass(frozen=True)
class World:
    """Folders of examples and of the transform graph, and what was withheld from each user."""

    examples: Path
    transform: Path
    withheld: dict[int, list[int]]

    def files(self, split: str) -> list[str]:
        return [str(path) for path in sorted((self.examples / f"Split-{split}").iterdir())]

    def serialized(self, split: str) -> list[bytes]:
        dataset = tf.data.TFRecordDataset(self.files(split), compression_type="GZIP")
        return list(dataset.as_numpy_iterator())


def example(**values: Any) -> bytes:
    """Return a serialized tf.Example; None leaves a feature out."""
    features = {}
    for name, value in values.items():
        if value is None:
            continue
        many = value if isinstance(value, list) else [value]
        if all(isinstance(v, str) for v in many):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode() for v in many]))
        elif all(isinstance(v, int) for v in many):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=many))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=many))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def user_columns(user: int) -> dict[str, Any]:
    return {"user_id": f"u{user}", "age": 20 + user}


def item_columns(item: int) -> dict[str, Any]:
    genres = ["even" if item % 2 == 0 else "odd", "any"]
    return {
        "item_id": str(item),
        "title": f"Item {item}",
        "genres": genres,
        "year": None if item == 3 else 1990 + item % 7,
    }


def _events(user: int, items: Iterable[int], with_seen: bool, past: list[int]) -> list[bytes]:
    rows = []
    items = list(items)
    for number, item in enumerate(items):
        liked = item % 4 == user % 4
        row = {
            **user_columns(user),
            **item_columns(item),
            "timestamp": 1000 + len(past),
            "query_id": f"u{user}@{1000 + len(past)}",
            "relevant": 1.0,
            "liked": float(liked),
            "rating": 5.0 if liked else 2.0,
            "history_item_ids": [str(i) for i in past[-HISTORY_LENGTH:]],
            "is_sequence_end": int((len(items) - 1 - number) % HISTORY_LENGTH == 0),
        }
        if with_seen:
            row["seen_item_ids"] = [str(i) for i in past]
        rows.append(example(**row))
        past.append(item)
    return rows


@dataclass(frozen=True)
class Loaded:
    """The world read into memory, as training gets it."""

    tft_output: Any
    space: FeatureSpace
    parser: ExampleParser
    data: TrainingData
    users: Users
    test: Rows


@cache
def loaded() -> Loaded:
    """Return the world in memory, read once a process."""
    output = tft.TFTransformOutput(str(world().transform))
    catalogue, parser = read_catalogue(world().files("items"), output)
    train, evaluation, test = (read_rows(world().files(split), parser) for split in ("train", "eval", "test"))
    space = FeatureSpace.from_transform(RECORDS, output, num_items=len(catalogue))
    users = read_users(world().files("users"), parser)
    return Loaded(output, space, parser, TrainingData(train, evaluation, catalogue), users, test)


@cache
def world() -> World:
    """Return the world, made once a process, but for the transform graph, which all processes of a run share."""
    root = Path(tempfile.mkdtemp(prefix="toy-world-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    generator = np.random.default_rng(7)
    splits: dict[str, list[bytes]] = {name: [] for name in ("train", "eval", "test", "items", "users")}
    withheld = {}
    for user in range(NUM_USERS):
        own = [item for item in range(NUM_ITEMS) if item % 2 == user % 2]
        order = [int(item) for item in generator.permutation(own)]
        past: list[int] = []
        splits["train"] += _events(user, order[:8], False, past)
        splits["eval"] += _events(user, order[8:9], True, past)
        splits["test"] += _events(user, order[9:10], True, past)
        withheld[user] = order[10:]
        state = {"history_item_ids": [str(i) for i in past[-HISTORY_LENGTH:]], "seen_item_ids": [str(i) for i in past]}
        splits["users"].append(example(**user_columns(user), **state, timestamp=2000))
    splits["items"] = [example(**item_columns(item)) for item in range(NUM_ITEMS + 1)]
    for name, rows in splits.items():
        folder = root / "examples" / f"Split-{name}"
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
            for row in rows:
                writer.write(row)
    return World(root / "examples", _transform(splits["train"]), withheld)


def _transform(rows: list[bytes]) -> Path:
    """Return the folder of the transform graph, learnt by the first process of a run that asks for it."""
    folder = Path(os.environ[SHARED]) / "transform"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / tft.TFTransformOutput.RAW_METADATA_DIR).exists():
            _learn_transform(rows, folder)
    return folder


def _learn_transform(rows: list[bytes], folder: Path) -> None:
    """Run the product's preprocessing function over the rows, as the Transform component does."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from tensorflow_transform.tf_metadata.metadata_io import write_metadata
    from tfx_bsl.tfxio import tf_example_record

    from transforms.preprocessing import preprocessing_fn

    dtypes = {"user_id": tf.string, "item_id": tf.string, "history_item_ids": tf.string, "genres": tf.string}
    dtypes |= {"title": tf.string, "age": tf.int64, "year": tf.int64, "seen_item_ids": tf.string, "rating": tf.float32}
    metadata = tft.DatasetMetadata.from_feature_spec({n: tf.io.VarLenFeature(t) for n, t in dtypes.items()})
    tfxio = tf_example_record.TFExampleBeamRecord(["toy"], schema=metadata.schema, telemetry_descriptors=["toy"])
    config = {"features": json.dumps([record.model_dump(mode="json") for record in RECORDS])}
    options = PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=str(folder) + "-temp"):
        data = pipeline | beam.Create(rows) | tfxio.BeamSource()
        learnt = tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = (data, tfxio.TensorAdapterConfig()) | learnt | tft_beam.WriteTransformFn(str(folder))
    write_metadata(metadata, str(folder / tft.TFTransformOutput.RAW_METADATA_DIR))
