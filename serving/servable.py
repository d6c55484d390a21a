"""The SavedModel: raw serialized tf.Examples or user ids in, scores, ranks and recommendations out."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from datasets.columns import ITEM_ID, SEEN
from evaluation.metric_table import LIST_LENGTH
from models.example_parser import ExampleParser, lookup_table, scalar
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.registry import Task
from models.training_data import Catalogue, Rows, Users
from serving.catalogue_ranking import all_finite, best, in_blocks, rank_of, spread
from serving.scoring import make_scorer

Tensors = dict[str, tf.Tensor]
# Scores held at a time; a block has at least one row, so a catalogue may be larger.
_SCORES_A_BLOCK = 4_194_304
# An item's mean label is drawn towards the overall mean as if it had this many more rows of it.
_PRIOR_ROWS = 10


class Servable(tf.Module):
    """The transform graph, the model, the catalogue and the users' state, with the signatures of a task.

    `serving_default(examples)` gives `scores`, float32 `(batch_size,)`: each row's own item, by the model's score
    (retrieval), the probability (ranking) or the rating.

    `evaluate(examples)` gives float32 `(batch_size,)`. Retrieval: `rank` of the row's item in the catalogue without
    `seen_item_ids`, `popularity_rank` (by relevant train events), `finite` (1.0 where all scores of the row are),
    `spread` (highest minus lowest), and `top_items`, the ids of the best items not seen, string
    `(batch_size, LIST_LENGTH)`, empty where fewer are left. Ranking and rating: `score`, `popularity_score` (the
    item's mean label in train, drawn towards the overall mean), `finite`, and `spread`, always 0.

    `recommend(user_id, k)` gives `item_ids`, `scores`, `titles`, `(batch_size, k)`, and `known`, bool `(batch_size,)`.
    Items seen are left out; where fewer than k are left, empty ids with a score of minus infinity follow. An unknown
    user gets the items of the most train events, scored by their number.

    `transform_features(examples)` gives the transformed features.

    Only stock TensorFlow operations are used, and memory is bounded: scores are computed a block of rows at a time.

    Args:
      task: `retrieval`, `ranking` or `rating`.
      model: trained.
      space: its fields.
      parser: of the rows.
      catalogue: the items.
      users: the users' state.
      train: rows that popularity is counted on.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        space: FeatureSpace,
        parser: ExampleParser,
        catalogue: Catalogue,
        users: Users,
        train: Rows,
    ) -> None:
        super().__init__()
        self._task = task
        self._parser = parser
        self._num_items = len(catalogue)
        self._scorer = make_scorer(task, model, space, catalogue.features, train)
        # One more: the item that is not there.
        self._item_ids = tf.constant([*catalogue.item_ids.tolist(), b""])
        self._titles = tf.constant([*catalogue.titles.tolist(), b""])
        self._num_events = _variable(_counts(train, self._num_items), "num_events")
        self._mean_labels = _variable(_mean_labels(train, task, self._num_items), "mean_labels")
        self._user_positions = lookup_table(users.user_ids.tolist())
        self._num_users = len(users.user_ids)
        # Transform makes every field of every split; of a user the query fields are wanted.
        state = {field.name: _with_nobody(users.features[field.name]) for field in space.query()}
        self._user_features = {name: _variable(_stored(values), name) for name, values in state.items()}
        self._seen = _variable(users.seen, "seen")
        self._seen_starts = _variable(np.append(users.seen_starts, users.seen_starts[-1]), "seen_starts")

    def serving_default(self, examples: tf.Tensor) -> Tensors:
        """Return the score of each row's item."""
        raw = self._parser.parse(examples, **{ITEM_ID: tf.string})
        features = self._parser.with_index(self._parser.features(raw), scalar(raw[ITEM_ID], ""))
        return {"scores": self._scorer.of_rows(features)}

    def evaluate(self, examples: tf.Tensor) -> Tensors:
        """Return what the metrics are computed from."""
        raw = self._parser.parse(examples, **{ITEM_ID: tf.string, SEEN: tf.string})
        item = self._parser.positions(scalar(raw[ITEM_ID], ""))
        features = self._parser.features(raw) | {CATALOGUE_INDEX: item}
        if self._task != "retrieval":
            scores = self._scorer.of_rows(features)
            return {
                "score": scores,
                "popularity_score": tf.gather(self._mean_labels, item),
                "finite": tf.cast(tf.math.is_finite(scores), tf.float32),
                "spread": tf.zeros_like(scores),
            }
        seen = tf.RaggedTensor.from_sparse(raw[SEEN])
        seen = seen.with_flat_values(self._parser.positions(seen.flat_values))

        def ranks(start: tf.Tensor, end: tf.Tensor) -> Tensors:
            block = {name: values[start:end] for name, values in features.items()}
            scores = self._scorer.of_catalogue(block)
            popularity = tf.tile(self._num_events[tf.newaxis], [end - start, 1])
            return {
                "rank": rank_of(item[start:end], scores, seen[start:end]),
                "popularity_rank": rank_of(item[start:end], popularity, seen[start:end]),
                "finite": tf.cast(all_finite(scores), tf.float32),
                "spread": spread(scores),
                "top_items": best(scores, seen[start:end], tf.constant(LIST_LENGTH))[0],
            }

        a_row = tf.TensorSpec([None], tf.float32)
        outputs = dict.fromkeys(("rank", "popularity_rank", "finite", "spread"), a_row)
        outputs["top_items"] = tf.TensorSpec([None, LIST_LENGTH], tf.int32)
        found = in_blocks(ranks, outputs, tf.shape(examples)[0], self._rows_a_block())
        return found | {"top_items": tf.gather(self._item_ids, found["top_items"])}

    def recommend(self, user_id: tf.Tensor, k: tf.Tensor) -> Tensors:
        """Return the best items for each user."""
        users = self._user_positions.lookup(user_id)
        known = users < self._num_users

        def recommended(start: tf.Tensor, end: tf.Tensor) -> Tensors:
            block = users[start:end]
            features = {name: _loaded(tf.gather(values, block)) for name, values in self._user_features.items()}
            features[CATALOGUE_INDEX] = tf.fill(tf.shape(block), tf.constant(self._num_items, tf.int64))
            popularity = tf.tile(self._num_events[tf.newaxis], [end - start, 1])
            scores = tf.where(known[start:end, tf.newaxis], self._scorer.of_catalogue(features), popularity)
            items, values = best(scores, self._seen_by(block), k)
            return {"items": items, "scores": values}

        outputs = {"items": tf.TensorSpec([None, None], tf.int32), "scores": tf.TensorSpec([None, None], tf.float32)}
        found = in_blocks(recommended, outputs, tf.shape(user_id)[0], self._rows_a_block())
        return {
            "item_ids": tf.gather(self._item_ids, found["items"]),
            "scores": found["scores"],
            "titles": tf.gather(self._titles, found["items"]),
            "known": known,
        }

    def transform_features(self, examples: tf.Tensor) -> Tensors:
        """Return the transformed features."""
        return self._parser.features(self._parser.parse(examples))

    def _seen_by(self, users: tf.Tensor) -> tf.RaggedTensor:
        """Return the catalogue positions that each user has seen, ragged `(num_rows, None)`."""
        starts = tf.gather(self._seen_starts, users)
        lengths = tf.gather(self._seen_starts, users + 1) - starts
        places = tf.ragged.range(starts, starts + lengths)
        return places.with_flat_values(tf.gather(self._seen, places.flat_values))

    def _rows_a_block(self) -> tf.Tensor:
        return tf.constant(max(_SCORES_A_BLOCK // self._num_items, 1))


def save(servable: Servable, path: str) -> None:
    """Write the SavedModel, loadable without any code of this project."""
    examples = tf.TensorSpec([None], tf.string, name="examples")
    of_examples = {
        name: tf.function(getattr(servable, name)).get_concrete_function(examples)
        for name in ("serving_default", "evaluate", "transform_features")
    }
    recommend = tf.function(servable.recommend).get_concrete_function(
        tf.TensorSpec([None], tf.string, name="user_id"), tf.TensorSpec([], tf.int32, name="k")
    )
    tf.saved_model.save(servable, path, signatures=of_examples | {"recommend": recommend})


def _counts(train: Rows, num_items: int) -> np.ndarray:
    """Return the number of relevant train events of each item, float32 `(num_items,)`."""
    items = train.features[CATALOGUE_INDEX][train.relevant > 0]
    return np.bincount(items, minlength=num_items + 1)[:num_items].astype(np.float32)


def _mean_labels(train: Rows, task: Task, num_items: int) -> np.ndarray:
    """Return `(sum of labels + m * overall mean) / (number of rows + m)` of each item, float32 `(num_items + 1,)`."""
    labels = train.rating if task == "rating" else train.liked
    counted = np.isfinite(labels)
    items, labels = train.features[CATALOGUE_INDEX][counted], labels[counted]
    mean = float(labels.mean()) if len(labels) else 0.0
    # All rows of items outside the catalogue fall into the last place, which stands for an item nothing is known of.
    inside = items < num_items
    counts = np.bincount(items[inside], minlength=num_items + 1)
    sums = np.bincount(items[inside], weights=labels[inside], minlength=num_items + 1)
    return ((sums + _PRIOR_ROWS * mean) / (counts + _PRIOR_ROWS)).astype(np.float32)


def _with_nobody(values: np.ndarray) -> np.ndarray:
    """Return the users' values with a row of zeros behind, for users who are unknown."""
    return np.concatenate([values, np.zeros_like(values, shape=(1, *values.shape[1:]))])


def _stored(values: np.ndarray) -> np.ndarray:
    """Return ids in half the memory; they come back with `_loaded`."""
    return values.astype(np.int32) if values.dtype == np.int64 else values


def _loaded(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.int64) if values.dtype == tf.int32 else values


def _variable(values: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, name=name)
