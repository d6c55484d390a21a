"""A SavedModel with the signatures of `serving.servable` and one fault, and raw rows to ask it with."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import tensorflow as tf

USERS = tuple(f"u{number}".encode() for number in range(12))
ITEMS = (b"i1", b"i2", b"i3")


NONE, NO_LISTS, TEN = tf.zeros([0], tf.string), tf.zeros([0, 0], tf.string), tf.constant(10)


class TinyServable(tf.Module):
    """Scores `factor` times the rating; recommends all items to everybody."""

    def __init__(self, fault: str = "", factor: float = 2.0) -> None:
        super().__init__()
        self._fault = fault
        self._factor = tf.Variable(float("nan") if fault == "nan" else factor, trainable=False)
        self._pull = tf.Variable(factor, trainable=False)
        self._users = tf.constant(USERS)
        self.user_ids = tf.function(lambda: self._users, input_signature=[], autograph=False)
        self.catalogue_size = tf.Variable(len(ITEMS), trainable=False)

    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = self._factor * self._ratings(examples)
        if self._fault == "raises":
            with tf.control_dependencies([tf.debugging.Assert(False, ["no such item in the table"])]):
                scores = tf.identity(scores)
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

    def recommend(
        self,
        user_id: tf.Tensor = NONE,
        history: tf.Tensor = NO_LISTS,
        k: tf.Tensor = TEN,
    ) -> dict[str, tf.Tensor]:
        num_rows = tf.maximum(tf.shape(user_id)[0], tf.shape(history)[0])
        user_id = tf.pad(user_id, [[0, num_rows - tf.shape(user_id)[0]]])
        history = tf.pad(history, [[0, num_rows - tf.shape(history)[0]], [0, 0]])
        known = tf.reduce_any(user_id[:, tf.newaxis] == self._users, axis=1)
        seen = tf.reduce_any(history[:, tf.newaxis] == tf.constant(ITEMS)[:, tf.newaxis], axis=2)  # (num_rows, 3)
        if self._fault == "forgets the history":
            seen = tf.zeros_like(seen)
        points = tf.where(seen, -float("inf"), self._pull * tf.constant([0.3, 0.2, 0.1]))
        scores, places = tf.math.top_k(points, tf.minimum(k, len(ITEMS)))
        items = tf.where(scores > -float("inf"), tf.gather(tf.constant(ITEMS), places), b"")
        behind = [[0, 0], [0, tf.maximum(k - len(ITEMS), 0)]]
        items, scores = tf.pad(items, behind), tf.pad(scores, behind, constant_values=-float("inf"))
        if self._fault == "infinite":
            scores = -tf.ones_like(scores) / 0.0
        if self._fault == "twice":
            items = tf.where(items == b"i2", b"i1", items)
        if self._fault == "nothing for strangers":
            items = tf.where(known[:, tf.newaxis], items, b"")
        rung = tf.where(known, "model", tf.where(tf.reduce_any(seen, axis=1), "similar_items", "popularity"))
        return {
            "item_ids": items[:, : k - 1] if self._fault == "short" else items,
            "scores": scores,
            "titles": tf.where(items == b"", b"", "Title of " + items),
            "because": tf.zeros_like(items),
            "known": tf.ones_like(known) if self._fault == "knows everybody" else known,
        } | ({} if self._fault == "tells no rung" else {"rung": rung})

    def rank(self, candidates: tf.Tensor, user_id: tf.Tensor = NONE) -> dict[str, tf.Tensor]:
        num_rows = tf.maximum(tf.shape(user_id)[0], tf.shape(candidates)[0])
        candidates = tf.pad(candidates, [[0, num_rows - tf.shape(candidates)[0]], [0, 0]])
        same = candidates[..., tf.newaxis] == tf.constant(ITEMS)  # (num_rows, num_candidates, 3)
        scores = tf.reduce_max(tf.where(same, [0.3, 0.2, 0.1], -float("inf")), axis=2)
        scores, places = tf.math.top_k(scores, tf.shape(scores)[1])
        found = tf.gather(candidates, places, batch_dims=1)
        return {"item_ids": found[:, ::-1] if self._fault == "worst first" else found, "scores": scores}

    def similar_items(self, item_id: tf.Tensor, k: tf.Tensor = TEN) -> dict[str, tf.Tensor]:
        answer = self.recommend(tf.zeros_like(item_id), item_id[:, tf.newaxis], k)
        known = tf.reduce_any(item_id[:, tf.newaxis] == tf.constant(ITEMS), axis=1)
        return {name: answer[name] for name in ("item_ids", "scores", "titles")} | {"known": known}

    def _ratings(self, examples: tf.Tensor) -> tf.Tensor:
        spec = {"rating": tf.io.FixedLenFeature([], tf.float32, default_value=float("nan"))}
        return tf.io.parse_example(examples, spec)["rating"]


SPECS = {
    "candidates": tf.TensorSpec([None, None], tf.string, "candidates"),
    "examples": tf.TensorSpec([None], tf.string, "examples"),
    "history": tf.TensorSpec([None, None], tf.string, "history"),
    "item_id": tf.TensorSpec([None], tf.string, "item_id"),
    "k": tf.TensorSpec([], tf.int32, "k"),
    "user_id": tf.TensorSpec([None], tf.string, "user_id"),
}


def save(folder: Path, fault: str = "", factor: float = 2.0) -> Path:
    """Export; `fault` names what is wrong with the model."""
    servable = TinyServable(fault, factor)
    signatures: dict[str, Any] = {}
    for name in ("serving_default", "evaluate", "transform_features", "recommend", "rank", "similar_items"):
        method = getattr(servable, name)
        specs = [SPECS[parameter] for parameter in inspect.signature(method).parameters]
        signatures[name] = tf.function(method, input_signature=specs, autograph=False)
    if fault == "lacks recommend":
        del signatures["recommend"]
    if fault == "another signature":
        signatures["nearby"] = tf.function(lambda place: {"ids": place}).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="place")
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
            item = tf.train.Feature(bytes_list=tf.train.BytesList(value=[ITEMS[number % 2]]))
            columns = {"user_id": user, "item_id": item, "rating": rating}
            example = tf.train.Example(features=tf.train.Features(feature=columns))
            writer.write(example.SerializeToString())
    return path
