"""The SavedModel: raw serialized tf.Examples or user ids in, scores, ranks and recommendations out."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from datasets.columns import ITEM_ID, SEEN
from models.archetypes.retrieval import RetrievalModel
from models.example_parser import ExampleParser, scalar
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.registry import Task
from models.training_data import Catalogue, Rows, Users
from serving.approximate_index import ApproximateIndex
from serving.attribute_filter import AttributeFilter
from serving.catalogue_ranking import all_finite, best, in_blocks, rank_of, spread
from serving.cold_start import RUNGS, ColdStartLadder
from serving.graph_operations import rows_or_nothing, up_to, without_empty
from serving.item_similarity import ItemSimilarity, vectors_from_users
from serving.queries import Queries, QueryReader
from serving.scoring import RetrievalScorer, make_scorer
from serving.stages import Stages
from settings.evaluation import LIST_LENGTH
from settings.serving import ServingSettings

Tensors = dict[str, tf.Tensor]
# An item's mean label is drawn towards the overall mean as if it had this many more rows of it.
_PRIOR_ROWS = 10
_SECONDS_A_DAY = 86_400
# Pairs of a query and a candidate that a second stage is given at a time.
_PAIRS_A_BLOCK = 65_536
# Rows of train whose queries the index is tuned by.
_SAMPLE_QUERIES = 256
_SPECS = {
    "candidates": tf.TensorSpec([None, None], tf.string, "candidates"),
    "context": tf.TensorSpec([None], tf.string, "context"),
    "examples": tf.TensorSpec([None], tf.string, "examples"),
    "exclude": tf.TensorSpec([None, None], tf.string, "exclude"),
    "filter": tf.TensorSpec([None, None], tf.string, "filter"),
    "history": tf.TensorSpec([None, None], tf.string, "history"),
    "item_id": tf.TensorSpec([None], tf.string, "item_id"),
    "k": tf.TensorSpec([], tf.int32, "k"),
    "user_id": tf.TensorSpec([None], tf.string, "user_id"),
}
# What an input is that a request leaves out.
_NONE, _NO_LISTS, _TEN = tf.zeros([0], tf.string), tf.zeros([0, 0], tf.string), tf.constant(10)


class Servable(tf.Module):
    """The transform graph, the model, the catalogue and the users' state, with the signatures of a task.

    `serving_default(examples)` gives `scores`, float32 `(batch_size,)`: each row's own item, by the model's score
    (retrieval), the probability (ranking) or the rating.

    `evaluate(examples)` gives float32 `(batch_size,)`. Retrieval: `rank` of the row's item in the catalogue without
    `seen_item_ids`, `popularity_rank` (by relevant train events), `finite` (1.0 where all scores of the row are),
    `spread` (highest minus lowest), and `top_items`, the ids of the best items not seen, string
    `(batch_size, LIST_LENGTH)`, empty where fewer are left. Ranking and rating: `score`, `popularity_score` (the
    item's mean label in train, drawn towards the overall mean), `finite`, and `spread`, always 0.

    `recommend(user_id, history, context, k, exclude, filter)` gives `item_ids`, `scores`, `titles` and `because` (the
    id of the asker's own recent item that is most like the recommended one), `(batch_size, k)`, and `known`, bool, and
    `rung`, the rule that answered, `(batch_size,)`; see `serving.cold_start`. Items seen, in the history, in `exclude`
    or without an attribute that `filter` names are left out; where fewer than k are left, empty ids with a score of
    minus infinity follow. `rank(user_id, history, context, candidates)` gives the candidates as `item_ids`, best
    first by the model, and their `scores`; those outside the catalogue come last. See `serving.queries` for who asks.

    `similar_items(item_id, k)` gives `item_ids`, `scores`, `titles`, `(batch_size, k)`, and `known`.

    `embed_query(user_id, history, context)` and `embed_item(examples)`, where there is a retrieval model, give
    `embedding`, float32 `(batch_size, dim)`; an item needs not be in the catalogue. `index_recall(examples)`, where
    there is an index, gives `recall` and `expected`, `(batch_size,)`.

    `transform_features(examples)` gives the transformed features.

    Only stock TensorFlow operations are used, and memory is bounded: scores are computed a block of rows at a time.
    All inputs but `examples`, `candidates` and `item_id` may be left out: they have defaults in the SavedModel.

    Args:
      task: `retrieval`, `ranking` or `rating`.
      model: trained.
      space: its fields.
      parser: of the rows.
      catalogue: the items.
      users: the users' state.
      train: rows that popularity is counted on.
      serving: the ladder, the stages and the index of `recommend`.
      retrieval: trained; finds the candidates that a ranking or rating model then ranks. None: it scores all items.
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
        serving: ServingSettings | None = None,
        retrieval: RetrievalModel | None = None,
    ) -> None:
        super().__init__()
        serving = serving or ServingSettings()
        self._task = task
        self._parser = parser
        self._num_items = len(catalogue)
        self._scores_a_block = serving.scores_a_block
        self._scorer = make_scorer(task, model, space, catalogue.features, train)
        # One more: the item that is not there.
        self._item_ids = tf.constant([*catalogue.item_ids.tolist(), b""])
        self._titles = tf.constant([*catalogue.titles.tolist(), b""])
        self._num_events = _variable(_counts(train, self._num_items), "num_events")
        self._mean_labels = _variable(_mean_labels(train, task, self._num_items), "mean_labels")
        # Retrieval models have vectors; of the others, items chosen by the same users are alike.
        own = self._scorer if isinstance(self._scorer, RetrievalScorer) else None
        self._encoders = RetrievalScorer(retrieval, catalogue.features) if retrieval else own
        self._queries = QueryReader(space, parser, users, self._encoders)
        self._similarity = ItemSimilarity(
            self._encoders.candidates
            if self._encoders
            else _variable(vectors_from_users(train, self._num_items), "item_vectors")
        )
        self._index = _index(self._encoders, train, space, serving)
        self._ladder = ColdStartLadder(
            serving,
            _popularity(train, space, self._num_items, serving),
            self._similarity,
            self._of_catalogue,
        )
        self._stages = Stages(
            serving,
            self._ladder,
            AttributeFilter(catalogue.attributes, self._num_items),
            self._similarity,
            self._num_items,
            self._index,
            self._scorer.of_items if retrieval else None,
        )
        # Read by whoever loads the model, to check requests and to list who can be answered.
        self.catalogue_size = tf.Variable(self._num_items, trainable=False, name="catalogue_size")
        self.user_ids = tf.function(self._queries.user_ids, input_signature=[], autograph=False)

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

    def recommend(
        self,
        user_id: tf.Tensor = _NONE,
        history: tf.Tensor = _NO_LISTS,
        context: tf.Tensor = _NONE,
        k: tf.Tensor = _TEN,
        exclude: tf.Tensor = _NO_LISTS,
        filter: tf.Tensor = _NO_LISTS,
    ) -> Tensors:
        """Return the best items for each query."""
        queries = self._queries.read(user_id, history, context)
        num_rows = tf.size(queries.known)
        wanted = up_to(num_rows, filter)

        def with_excluded() -> tf.RaggedTensor:
            excluded = without_empty(up_to(num_rows, exclude))
            excluded = excluded.with_flat_values(self._parser.positions(excluded.flat_values))
            return tf.concat([queries.seen, excluded], axis=1)

        removed = tf.cond(tf.size(exclude) > 0, with_excluded, lambda: queries.seen)
        queries = dataclasses.replace(queries, seen=removed)

        def recommended(start: tf.Tensor, end: tf.Tensor) -> Tensors:
            items, values = self._stages.lists(queries.rows(start, end), wanted[start:end], k)
            return {"items": items, "scores": values}

        outputs = {"items": tf.TensorSpec([None, None], tf.int32), "scores": tf.TensorSpec([None, None], tf.float32)}
        rows_a_block = tf.minimum(self._rows_a_block(), max(_PAIRS_A_BLOCK // self._stages.candidates_a_row, 1))
        found = in_blocks(recommended, outputs, num_rows, rows_a_block)
        rung = self._ladder.rung(queries)
        # Popularity has no reason but itself.
        recent = rows_or_nothing(rung > 0, queries.recent)
        because = self._similarity.closest(found["items"], recent, self._num_items)
        return self._shown(found["items"], found["scores"]) | {
            "because": tf.gather(self._item_ids, because),
            "known": queries.known,
            "rung": tf.gather(tf.constant(RUNGS), rung),
        }

    def rank(
        self,
        candidates: tf.Tensor,
        user_id: tf.Tensor = _NONE,
        history: tf.Tensor = _NO_LISTS,
        context: tf.Tensor = _NONE,
    ) -> Tensors:
        """Return each row's candidates in the order of the model's scores; of equal ones the earlier stays first."""
        queries = self._queries.read(user_id, history, context)
        candidates = up_to(tf.size(queries.known), candidates)
        items = self._parser.positions(candidates)
        scores = self._scorer.of_items(queries.features, tf.minimum(items, self._num_items - 1))
        scores = tf.where((items < self._num_items) & tf.math.is_finite(scores), scores, float("-inf"))
        order = tf.argsort(scores, axis=1, direction="DESCENDING", stable=True)
        return {
            "item_ids": tf.gather(candidates, order, batch_dims=1),
            "scores": tf.gather(scores, order, batch_dims=1),
        }

    def similar_items(self, item_id: tf.Tensor, k: tf.Tensor = _TEN) -> Tensors:
        """Return the items most like each item, without itself."""
        items = self._parser.positions(item_id)
        itself = tf.RaggedTensor.from_tensor(items[:, tf.newaxis])

        def similar(start: tf.Tensor, end: tf.Tensor) -> Tensors:
            found, values = best(self._similarity.of_catalogue(itself[start:end]), itself[start:end], k)
            return {"items": found, "scores": values}

        outputs = {"items": tf.TensorSpec([None, None], tf.int32), "scores": tf.TensorSpec([None, None], tf.float32)}
        found = in_blocks(similar, outputs, tf.size(items), self._rows_a_block())
        known = items < self._num_items
        places = tf.where(known[:, tf.newaxis], found["items"], self._num_items)
        scores = tf.where(known[:, tf.newaxis], found["scores"], float("-inf"))
        return self._shown(places, scores) | {"known": known}

    def embed_query(
        self, user_id: tf.Tensor = _NONE, history: tf.Tensor = _NO_LISTS, context: tf.Tensor = _NONE
    ) -> Tensors:
        """Return the query tower's vectors."""
        assert self._encoders
        return {"embedding": self._queries.read(user_id, history, context).vectors}

    def embed_item(self, examples: tf.Tensor) -> Tensors:
        """Return the candidate tower's vectors, from the raw columns of items."""
        raw = self._parser.parse(examples, **{ITEM_ID: tf.string})
        features = self._parser.with_index(self._parser.features(raw), scalar(raw[ITEM_ID], ""))
        assert self._encoders
        return {"embedding": self._encoders.encode_candidate(features)}

    def index_recall(self, examples: tf.Tensor) -> Tensors:
        """Return the share of each row's exact ten best that the index finds, and what it should be on average."""
        assert self._encoders
        assert self._index
        recall = self._index.recall(self._encoders.encode_query(self._parser.features(self._parser.parse(examples))))
        return {"recall": recall, "expected": tf.fill(tf.shape(recall), self._index.min_recall)}

    def transform_features(self, examples: tf.Tensor) -> Tensors:
        """Return the transformed features."""
        return self._parser.features(self._parser.parse(examples))

    def signatures(self) -> dict[str, Any]:
        """Return the functions to be exported, by name."""
        names = ["serving_default", "evaluate", "transform_features", "recommend", "rank", "similar_items"]
        if self._encoders:
            names += ["embed_query", "embed_item"]
        if self._index:
            names += ["index_recall"]
        return {name: _with_specs(getattr(self, name)) for name in names}

    def _shown(self, items: tf.Tensor, scores: tf.Tensor) -> Tensors:
        return {
            "item_ids": tf.gather(self._item_ids, items),
            "scores": scores,
            "titles": tf.gather(self._titles, items),
        }

    def _of_catalogue(self, queries: Queries) -> tf.Tensor:
        if self._encoders:
            return self._encoders.of_vectors(queries.vectors)
        return self._scorer.of_catalogue(queries.features)

    def _rows_a_block(self) -> tf.Tensor:
        return tf.constant(max(self._scores_a_block // self._num_items, 1))


def save(servable: Servable, path: str) -> None:
    """Write the SavedModel, loadable without any code of this project."""
    tf.saved_model.save(servable, path, signatures=servable.signatures())


def _with_specs(method: Callable[..., Tensors]) -> Any:
    """Return the method as a function of tensors; the defaults of its inputs go into the SavedModel."""
    return tf.function(
        method, input_signature=[_SPECS[name] for name in inspect.signature(method).parameters], autograph=False
    )


def _counts(train: Rows, num_items: int, window_days: float | None = None) -> np.ndarray:
    """Return the number of relevant train events of each item, of the last days alone, float32 `(num_items,)`."""
    counted = train.relevant > 0
    if window_days is not None and len(train):
        counted &= train.timestamp > train.timestamp.max() - window_days * _SECONDS_A_DAY
    items = train.features[CATALOGUE_INDEX][counted]
    return np.bincount(items, minlength=num_items + 1)[:num_items].astype(np.float32)


def _popularity(train: Rows, space: FeatureSpace, num_items: int, serving: ServingSettings) -> np.ndarray:
    """Return how popular each item is, float32 `(num_segments, num_items)`.

    A segment's row is the number of its own relevant events, plus a share below 1 that orders the items of equal number
    as all of train does; so a segment without events has the order of all. One row where there are no segments.
    """
    overall = _counts(train, num_items, serving.popularity_window_days)
    if serving.popularity_segment is None:
        return overall[np.newaxis]
    (size,) = (field.vocabulary_size for field in space.query() if field.name == serving.popularity_segment)
    segment = train.features[serving.popularity_segment]
    of_segments = [_counts(train.where(segment == s), num_items, serving.popularity_window_days) for s in range(size)]
    return np.stack(of_segments) + overall / (1.0 + overall.max())


def _index(
    encoders: RetrievalScorer | None, train: Rows, space: FeatureSpace, serving: ServingSettings
) -> ApproximateIndex | None:
    """Return an index of the items, or None where they are few or their scores are no inner products."""
    if encoders is None or not encoders.scores_are_inner_products or not len(train):
        return None
    if encoders.candidates.shape[0] <= serving.exact_up_to_items:
        return None
    rows = np.random.default_rng(0).choice(len(train), min(_SAMPLE_QUERIES, len(train)), replace=False)
    features = {field.name: tf.constant(train.features[field.name][rows]) for field in space.query()}
    queries = encoders.encode_query(features).numpy()
    return ApproximateIndex(encoders.candidates, queries, serving.min_index_recall)


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


def _variable(values: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, name=name)
