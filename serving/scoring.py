"""How each kind of model scores the catalogue for a batch of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from models.archetypes.retrieval import RetrievalModel
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.registry import Task
from models.training_data import Arrays, Rows
from serving.catalogue_ranking import in_blocks
from serving.graph_operations import gathered

Features = dict[str, tf.Tensor]
# Query-item pairs that a ranking or rating model is given at a time.
_PAIRS_A_BLOCK = 65_536
_ROWS_ENCODED_AT_ONCE = 4096


class Scorer(Protocol):
    """Scores of rows and of the catalogue; the graph that is exported."""

    def of_rows(self, features: Features) -> tf.Tensor:
        """Return the score of each row's own item, float32 `(batch_size,)`."""
        ...

    def of_catalogue(self, features: Features) -> tf.Tensor:
        """Return the score of each row's query with every item, float32 `(batch_size, num_items)`."""
        ...

    def of_items(self, features: Features, items: tf.Tensor) -> tf.Tensor:
        """Return the score of each row's query with some items of the catalogue, float32 `(batch_size, num_asked)`.

        Args:
          features: of the queries.
          items: int64 `(batch_size, num_asked)`, catalogue positions.
        """
        ...


class RetrievalScorer(tf.Module):
    """Encoded items, kept as weights; a query is encoded and compared with all of them.

    Args:
      model: trained.
      items: transformed features of the catalogue.
    """

    def __init__(self, model: RetrievalModel, items: Arrays) -> None:
        super().__init__()
        self._model = _Untracked(model)
        self._weights = [variable.value for variable in model.variables]
        self.candidates = tf.Variable(_encoded(model.encode_candidate, items), trainable=False, name="candidates")

    @property
    def scores_are_inner_products(self) -> bool:
        """Whether a score is the inner product of the two vectors, as an index supposes."""
        return type(self._model.it).score is RetrievalModel.score

    def of_rows(self, features: Features) -> tf.Tensor:
        """Return `score(query, candidate)` with each row's own item, known from the row's features alone."""
        return self._model.it(features)

    def of_catalogue(self, features: Features) -> tf.Tensor:
        """Return `score(query, candidate)` with every item."""
        return self.of_vectors(self.encode_query(features))

    def of_vectors(self, queries: tf.Tensor) -> tf.Tensor:
        """Return `score(query, candidate)` of queries that are encoded already with every item."""
        return self._model.it.score(queries, self.candidates)

    def of_items(self, features: Features, items: tf.Tensor) -> tf.Tensor:
        """Return `score_pairs` of each row's query, repeated, with the items' vectors."""
        queries = tf.repeat(self.encode_query(features), tf.shape(items)[1], axis=0)
        scores = self._model.it.score_pairs(queries, gathered(self.candidates, tf.reshape(items, [-1])))
        return tf.reshape(scores, tf.shape(items))

    def encode_query(self, features: Features) -> tf.Tensor:
        """Return the queries' vectors, float32 `(batch_size, dim)`."""
        return self._model.it.encode_query(features)

    def encoded_queries(self, features: Arrays) -> np.ndarray:
        """Return the queries' vectors, computed now, float32 `(num_queries, dim)`."""
        return _encoded(self._model.it.encode_query, features)

    def encode_candidate(self, features: Features) -> tf.Tensor:
        """Return the vectors of items, which need not be in the catalogue, float32 `(batch_size, dim)`."""
        return self._model.it.encode_candidate(features)


class PairScorer(tf.Module):
    """Items' features, kept as weights; every query is paired with every item, a block of items at a time.

    Args:
      model: trained; maps features to `(batch_size,)`.
      task: `ranking` answers with the probability of the logit; `rating` with the rating, within the range of train.
      space: tells query fields from candidate fields.
      items: transformed features of the catalogue.
      train: for the range of the ratings.
    """

    def __init__(self, model: keras.Model, task: Task, space: FeatureSpace, items: Arrays, train: Rows) -> None:
        super().__init__()
        self._model = _Untracked(model)
        self._weights = [variable.value for variable in model.variables]
        self._task = task
        self._query = tuple(field.name for field in space.query())
        # Transform makes every field of every split: the query fields of an item are empty, and not wanted here.
        wanted = [*(field.name for field in space.candidate()), CATALOGUE_INDEX]
        self._items = {name: tf.Variable(items[name], trainable=False, name=name) for name in wanted}
        self._num_items = len(next(iter(items.values())))
        ratings = train.rating[np.isfinite(train.rating)]
        self._range = (float(ratings.min()), float(ratings.max())) if len(ratings) else (0.0, 0.0)

    def of_rows(self, features: Features) -> tf.Tensor:
        """Return probability or rating of each row."""
        outputs = self._model.it(features)
        return tf.sigmoid(outputs) if self._task == "ranking" else tf.clip_by_value(outputs, *self._range)

    def of_catalogue(self, features: Features) -> tf.Tensor:
        """Return probability or rating of each row's query fields with every item's fields."""
        query = {name: features[name] for name in self._query}
        num_rows = tf.shape(next(iter(features.values())))[0]

        def pairs(start: tf.Tensor, end: tf.Tensor) -> Features:
            num_items = end - start
            left = {name: tf.repeat(values, num_items, axis=0) for name, values in query.items()}
            right = {name: _tiled(values[start:end], num_rows) for name, values in self._items.items()}
            scores = self.of_rows(left | right)  # (num_rows * num_items,)
            return {"scores": tf.transpose(tf.reshape(scores, [num_rows, num_items]))}

        items_a_block = tf.maximum(_PAIRS_A_BLOCK // tf.maximum(num_rows, 1), 1)
        outputs = {"scores": tf.TensorSpec([None, None], tf.float32)}
        scores = in_blocks(pairs, outputs, tf.constant(self._num_items), items_a_block)["scores"]
        return tf.ensure_shape(tf.transpose(scores), [None, self._num_items])

    def of_items(self, features: Features, items: tf.Tensor) -> tf.Tensor:
        """Return probability or rating of each row's query fields, repeated, with the items' fields."""
        left = {name: tf.repeat(features[name], tf.shape(items)[1], axis=0) for name in self._query}
        right = {name: gathered(values, tf.reshape(items, [-1])) for name, values in self._items.items()}
        return tf.reshape(self.of_rows(left | right), tf.shape(items))


def make_scorer(task: Task, model: keras.Model, space: FeatureSpace, items: Arrays, train: Rows) -> Scorer:
    """Return the scorer of a task."""
    return RetrievalScorer(model, items) if task == "retrieval" else PairScorer(model, task, space, items, train)


class _Untracked:
    """Keeps a Keras model out of the SavedModel's objects: its weights are tracked, its Python classes are not."""

    def __init__(self, it: keras.Model) -> None:
        self.it = it


def _encoded(encode: Callable[[Features], tf.Tensor], features: Arrays) -> np.ndarray:
    """Return the vectors of all rows."""
    num_rows = len(next(iter(features.values())))
    blocks = [
        encode({name: tf.constant(v[start : start + _ROWS_ENCODED_AT_ONCE]) for name, v in features.items()})
        for start in range(0, max(num_rows, 1), _ROWS_ENCODED_AT_ONCE)
    ]
    return np.concatenate([block.numpy() for block in blocks])


def _tiled(values: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """Return the rows again and again."""
    ones: Iterable[int] = [1] * (values.shape.rank - 1)
    return tf.tile(values, [times, *ones])
