"""A SavedModel with the signatures of `serving.servable` and one fault, and raw rows to ask it with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

USERS = tuple(f"u{number}".encode() for number in range(12))
ITEMS = (b"i1", b"i2", b"i3")


class TinyServable(tf.Module):
    """Scores twice the rating; recommends all items to everybody."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self._fault = fault
        self._factor = tf.Variable(float("nan") if fault == "nan" else 2.0, trainable=False)
        self._users = tf.constant(USERS)

    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = self._factor * self._ratings(examples)
        if self._fault == "raises":
            with tf.control_dependencies([tf.debugging.Assert(False, ["no such item in the table"])]):
                scores = tf.identity(scores)
        if self._fault == "hangs":
            scores = tf.while_loop(lambda x: x[0] > -1.0, lambda x: [x], [scores])[0]
        if self._fault == "drops a row":
            scores = tf.concat([scores[:1], scores[2:]], axis=0)
        if self._fault == "column":
            scores = scores[:, tf.newaxis]
        return {"points" if self._fault == "other output" else "scores": scores}

    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        ratings = self._ratings(examples)
        return {"score": ratings, "finite": tf.ones_like(ratings), "spread": tf.zeros_like(ratings)}

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        ratings = self._ratings(examples)
        if self._fault == "flat features":
            ratings = tf.constant([1.0, 2.0, 3.0])
        return {"rating": ratings, "ids": tf.cast(tf.stack([ratings, ratings], axis=1), tf.int64)}

    def recommend(self, user_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        known = tf.reduce_any(user_id[:, tf.newaxis] == self._users, axis=1)
        padding = tf.maximum(k - len(ITEMS), 0)
        items = tf.concat([tf.constant(ITEMS)[:k], tf.fill([padding], b"")], axis=0)
        scores = tf.concat([tf.constant([0.3, 0.2, 0.1])[:k], tf.fill([padding], -float("inf"))], axis=0)
        if self._fault == "infinite":
            scores = -tf.ones_like(scores) / 0.0
        if self._fault == "twice":
            items = tf.where(items == b"i2", b"i1", items)
        if self._fault == "nothing for strangers":
            items = tf.where(known[:, tf.newaxis], items[tf.newaxis], b"")
        rows = [tf.size(user_id), 1]
        item_ids = items if items.shape.rank == 2 else tf.tile(items[tf.newaxis], rows)
        return {
            "item_ids": item_ids[:, : k - 1] if self._fault == "short" else item_ids,
            "scores": tf.tile(scores[tf.newaxis], rows),
            "titles": tf.zeros_like(item_ids),
            "known": tf.ones_like(known) if self._fault == "knows everybody" else known,
        }

    def _ratings(self, examples: tf.Tensor) -> tf.Tensor:
        spec = {"rating": tf.io.FixedLenFeature([], tf.float32, default_value=float("nan"))}
        return tf.io.parse_example(examples, spec)["rating"]


def save(folder: Path, fault: str = "") -> Path:
    """Export; `fault` names what is wrong with the model."""
    servable = TinyServable(fault)
    examples = tf.TensorSpec([None], tf.string, name="examples")
    signatures: dict[str, Any] = {
        name: tf.function(getattr(servable, name)).get_concrete_function(examples)
        for name in ("serving_default", "evaluate", "transform_features")
    }
    signatures["recommend"] = tf.function(servable.recommend).get_concrete_function(
        tf.TensorSpec([None], tf.string, name="user_id"), tf.TensorSpec([], tf.int32, name="k")
    )
    if fault == "lacks recommend":
        del signatures["recommend"]
    if fault == "another signature":
        signatures["similar_items"] = tf.function(lambda item_id: {"ids": item_id}).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="item_id")
        )
    tf.saved_model.save(servable, str(folder), signatures=signatures)
    if fault == "truncated":
        graph = folder / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    if fault == "no weights":
        (folder / "variables" / "variables.data-00000-of-00001").unlink()
    return folder


def write_rows(folder: Path, num_rows: int = 40) -> str:
    """Write raw rows; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, options="GZIP") as writer:
        for number in range(num_rows):
            user = tf.train.Feature(bytes_list=tf.train.BytesList(value=[USERS[number % len(USERS)]]))
            rating = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0 + number % 5]))
            example = tf.train.Example(features=tf.train.Features(feature={"user_id": user, "rating": rating}))
            writer.write(example.SerializeToString())
    return path
