"""Recommendations for all users by `batch-recommend`, beside plain NumPy that finds the same lists.

make bench-batch

Users and items are made: everybody has seen 30 items, and a two-tower model without training encodes them; what is
computed does not depend on what was learnt. NumPy is given the vectors of users and items, and multiplies, removes what
was seen, partitions and sorts, a block of users at a time; it reads no model and writes no file.

Writes benchmarks/results/batch.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from benchmarks.measurement import record
from datasets.columns import HISTORY, ITEM_ID
from models.example_parser import ExampleParser
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.registry import parse_params
from models.training_data import Catalogue, Rows, Users
from serving import version_store
from serving.batch import recommend_all
from serving.loaded_model import LoadedModel
from serving.servable import Servable, save
from settings.features import FeatureList
from settings.runtime import BeamSettings
from transforms.preprocessing import preprocessing_fn

K = 10
SEEN = 30
RECORDS = FeatureList.model_validate(
    {
        "records": [
            {"name": "item_id", "kind": "categorical", "tower": "candidate"},
            {
                "name": "history",
                "kind": "sequence",
                "tower": "query",
                "column": HISTORY,
                "vocabulary": "item_id",
                "max_length": SEEN,
            },
        ]
    }
).records
_USERS_A_BLOCK = 256


def learn_transform(item_ids: list[bytes], folder: Path) -> tft.TFTransformOutput:
    """Return a transform graph that knows the items."""
    kinds = {ITEM_ID: tf.string, HISTORY: tf.string}
    metadata = tft.DatasetMetadata.from_feature_spec({name: tf.io.VarLenFeature(kind) for name, kind in kinds.items()})
    config = {"features": json.dumps([feature.model_dump(mode="json") for feature in RECORDS])}
    rows = [{ITEM_ID: [item], HISTORY: [item]} for item in item_ids]
    with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        data = (pipeline | beam.Create(rows), metadata)
        learnt = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = learnt | tft_beam.WriteTransformFn(str(folder / "transform"))
        _ = metadata | tft_beam.WriteMetadata(str(folder / "transform" / "metadata"), pipeline)
    return tft.TFTransformOutput(str(folder / "transform"))


def push_model(num_users: int, num_items: int, folder: Path) -> Path:
    """Return a pushed version that stores so many users."""
    generator = np.random.default_rng(0)
    item_ids = [b"i%d" % number for number in range(num_items)]
    tft_output = learn_transform(item_ids, folder)
    parser = ExampleParser(tft_output, item_ids)
    examples = [
        tf.train.Example(
            features=tf.train.Features(feature={ITEM_ID: tf.train.Feature(bytes_list=tf.train.BytesList(value=[item]))})
        ).SerializeToString()
        for item in item_ids
    ]
    items = {name: v.numpy() for name, v in parser.features(parser.parse(tf.constant(examples))).items()}
    items[CATALOGUE_INDEX] = np.arange(num_items)
    seen = generator.integers(0, num_items, (num_users, SEEN), np.int32)
    users = Users(
        np.array([b"u%d" % number for number in range(num_users)], object),
        {"history": items["item_id"][seen]},
        seen.reshape(-1),
        np.arange(0, SEEN * num_users + 1, SEEN),
    )
    ones = np.ones(num_items, np.float32)
    train = Rows(items, ones, ones, ones, ones > 0, np.array(item_ids, object), np.zeros(num_items, np.int64))
    space = FeatureSpace.from_transform(RECORDS, tft_output, num_items=num_items)
    model = parse_params({"name": "two_tower", "embedding_dim": 64}).build(space)
    model({name: tf.constant(values[:1]) for name, values in items.items()})  # makes its variables
    ids = np.array(item_ids, object)
    save(Servable("retrieval", model, space, parser, Catalogue(ids, ids, items), users, train), str(folder / "model"))
    return version_store.push(folder / "model", folder / "batch").path


def by_numpy(num_users: int, num_items: int, dim: int) -> float:
    """Return the seconds that NumPy takes for as many users and items."""
    generator = np.random.default_rng(0)
    items = generator.standard_normal((num_items, dim), np.float32)
    users = generator.standard_normal((num_users, dim), np.float32)
    seen = generator.integers(0, num_items, (num_users, SEEN))
    found = np.empty((num_users, K), np.int64)
    started = time.perf_counter()
    for start in range(0, num_users, _USERS_A_BLOCK):
        scores = users[start : start + _USERS_A_BLOCK] @ items.T
        np.put_along_axis(scores, seen[start : start + _USERS_A_BLOCK], -np.inf, axis=1)
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        found[start : start + _USERS_A_BLOCK] = np.take_along_axis(best, order, axis=1)
    return time.perf_counter() - started


def by_shortlist(num_users: int, num_items: int) -> tuple[float, int]:
    """Return the seconds of a whole batch, from the model on disk to the last file, and the size of the vectors."""
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as folder:
        version = push_model(num_users, num_items, Path(folder))
        dim = LoadedModel(version).outputs("embed_item")["embedding"].shape[1]
        started = time.perf_counter()
        arguments = BeamSettings().pipeline_args
        done = recommend_all(version, Path(folder, "out"), K, 10_000, arguments, lambda line: None)
        assert done == num_users
        return time.perf_counter() - started, dim


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--items", type=int, default=10_000)
    options = parser.parse_args()
    figures: list[dict[str, Any]] = []
    for num_users in options.users:
        seconds, dim = by_shortlist(num_users, options.items)
        numpy_seconds = by_numpy(num_users, options.items, dim)
        figures.append(
            {
                "users": num_users,
                "seconds": round(seconds, 1),
                "users_per_second": round(num_users / seconds),
                "numpy_seconds": round(numpy_seconds, 1),
                "times_numpy": round(seconds / numpy_seconds, 2),
            }
        )
    record("batch", {"items": options.items, "dim": dim, "k": K, "seen_items": SEEN, "figures": figures})


if __name__ == "__main__":
    main()
