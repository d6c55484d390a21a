"""Who asks: what is stored of a user, what the request says, and both as one query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.columns import HISTORY, SEEN, USER_EVENT_COUNT, USER_ID
from models.example_parser import ExampleParser, lookup_table, scalar
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.training_data import Users
from serving.graph_operations import kept, only, rows_or_nothing, up_to, without_empty
from serving.scoring import RetrievalScorer

Features = dict[str, tf.Tensor]
# Events that tell what a user likes now: the newest.
RECENT_EVENTS = 20


@dataclass(frozen=True)
class Queries:
    """A batch of queries; positions are those of the catalogue.

    Attributes:
      features: transformed query fields by name, and `CATALOGUE_INDEX`, which names no item.
      vectors: the query tower's, float32 `(batch_size, dim)`; of length 0 where the model has none.
      known: bool `(batch_size,)`, whether the user is stored.
      described: bool `(batch_size,)`, whether anything at all is known of who asks.
      num_events: int64 `(batch_size,)`, events with items of the catalogue.
      seen: int64, ragged `(batch_size, None)`, items not to be recommended again.
      recent: int64, ragged `(batch_size, None)`, items of the newest events, the newest last.
    """

    features: Features
    vectors: tf.Tensor
    known: tf.Tensor
    described: tf.Tensor
    num_events: tf.Tensor
    seen: tf.RaggedTensor
    recent: tf.RaggedTensor

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a traced function can return, in the order of the constructor."""
        return self.features, self.vectors, self.known, self.described, self.num_events, self.seen, self.recent

    def rows(self, start: tf.Tensor, end: tf.Tensor) -> Queries:
        """Return the queries from `start` to before `end`."""
        features = {name: values[start:end] for name, values in self.features.items()}
        return Queries(features, *(part[start:end] for part in self.parts[1:]))

    def at(self, rows: tf.Tensor) -> Queries:
        """Return some of the queries, by number."""
        features = {name: tf.gather(values, rows) for name, values in self.features.items()}
        return Queries(features, *(tf.gather(part, rows) for part in self.parts[1:]))


class QueryReader(tf.Module):
    """Makes queries of user ids, histories and contexts, each of which may be absent.

    A context is a serialized tf.Example of raw columns, as the pipeline's own rows are. What the request says counts;
    of a known user, what it does not say is taken from the stored state. A request's history follows the stored one;
    a context that itself carries `history_item_ids` replaces it. `user_event_count`, where the context lacks it, is
    the number of events known in the end.

    Args:
      space: its query fields are made.
      parser: of the raw columns.
      users: the stored state.
      encoders: makes the vectors; None: there are none.
    """

    def __init__(
        self, space: FeatureSpace, parser: ExampleParser, users: Users, encoders: RetrievalScorer | None = None
    ) -> None:
        super().__init__()
        self._fields = space.query()
        self._parser = parser
        self._positions = lookup_table(users.user_ids.tolist())
        self._num_users = len(users.user_ids)
        # Transform makes every field of every split; of a user the query fields are wanted.
        state = {field.name: users.features[field.name] for field in self._fields}
        self._state = {name: tf.Variable(_stored(v), trainable=False, name=name) for name, v in state.items()}
        self._encoders = encoders
        # Most requests are of users of whom nothing new is known: their vectors are computed here, once.
        no_item = {CATALOGUE_INDEX: np.full(self._num_users, parser.num_items, np.int64)}
        vectors = encoders.encoded_queries(state | no_item) if encoders else np.zeros((self._num_users, 0), np.float32)
        self._vectors = tf.Variable(_with_nobody(vectors), trainable=False, name="user_vectors")
        self._seen = tf.Variable(users.seen, trainable=False, name="seen")
        starts = np.append(users.seen_starts, users.seen_starts[-1])
        self._seen_starts = tf.Variable(starts, trainable=False, name="seen_starts")
        # Each traced once for all signatures.
        self._traced = _Traced(lambda *request: self._read(*request).parts)
        self._traced_joined = _Traced(lambda *request: self._joined(*request).parts, inline=False)

    def read(self, user_id: tf.Tensor, history: tf.Tensor, context: tf.Tensor) -> Queries:
        """Return one query a row; the shorter inputs are taken as if they went on with nothing.

        Args:
          user_id: string `(num_users,)`.
          history: string `(num_histories, length)`, item ids, the newest last; empty ones are passed over.
          context: string `(num_contexts,)`, serialized tf.Examples of raw query columns.
        """
        return Queries(*self._traced.function(user_id, history, context))

    def _read(self, user_id: tf.Tensor, history: tf.Tensor, context: tf.Tensor) -> Queries:
        """Build the graph of `read`."""
        num_rows = tf.reduce_max([tf.shape(user_id)[0], tf.shape(history)[0], tf.shape(context)[0]])
        user_id, history, context = (up_to(num_rows, values) for values in (user_id, history, context))
        user = self._positions.lookup(user_id)
        known = tf.reduce_all(user < self._num_users)
        nothing_new = known & tf.reduce_all(history == b"") & tf.reduce_all(context == b"")
        # Most operations are needed for the others alone.
        parts = tf.cond(
            nothing_new,
            lambda: self._state_of(user).parts,
            lambda: self._traced_joined.function(user_id, history, context),
        )
        return Queries(*parts)

    def _state_of(self, user: tf.Tensor) -> Queries:
        """Return what is stored of users, by position; zeros of those who are unknown."""
        starts = tf.gather(self._seen_starts, user)
        places = tf.ragged.range(starts, tf.gather(self._seen_starts, user + 1))
        seen = places.with_flat_values(tf.cast(tf.gather(self._seen, places.flat_values), tf.int64))
        known = user < self._num_users
        features = {field.name: _loaded(tf.gather(self._state[field.name], user)) for field in self._fields}
        features[CATALOGUE_INDEX] = tf.fill(tf.shape(user), tf.constant(self._parser.num_items, tf.int64))
        vectors = tf.gather(self._vectors, user)
        return Queries(features, vectors, known, known, seen.row_lengths(), seen, seen[:, -RECENT_EVENTS:])

    def _joined(self, user_id: tf.Tensor, history: tf.Tensor, context: tf.Tensor) -> Queries:
        """Return what is stored together with what the request says."""
        stored = self._state_of(self._positions.lookup(user_id))
        num_rows = tf.size(user_id)
        raw = self._parser.parse(context, **{USER_ID: tf.string, HISTORY: tf.string, SEEN: tf.string})
        of_fields = {field.source or field.name for field in self._fields} | {HISTORY, USER_EVENT_COUNT}
        told = {name: _has_value(raw[name], num_rows) for name in sorted(of_fields & raw.keys())}
        items = tf.concat([tf.RaggedTensor.from_sparse(raw[HISTORY]), without_empty(history)], axis=1)
        positions = items.with_flat_values(self._parser.positions(items.flat_values))
        positions = only(positions, positions.flat_values < self._parser.num_items)
        before = rows_or_nothing(~told[HISTORY], stored.seen)
        num_events = before.row_lengths() + positions.row_lengths()

        named = tf.where(user_id != b"", user_id, scalar(raw[USER_ID], ""))
        raw[HISTORY], raw[USER_ID] = items.to_sparse(), tf.sparse.from_dense(named[:, tf.newaxis])
        if USER_EVENT_COUNT in raw:
            told[USER_EVENT_COUNT] |= items.row_lengths() > 0
            raw[USER_EVENT_COUNT] = _or_else(raw[USER_EVENT_COUNT], num_events)
        fresh = self._parser.features(raw)
        features = {CATALOGUE_INDEX: stored.features[CATALOGUE_INDEX]}
        for field in self._fields:
            column = field.source or field.name
            use_fresh = ~stored.known | told.get(column, tf.zeros_like(stored.known))
            features[field.name] = _merged(column, fresh[field.name], stored.features[field.name], use_fresh)
        seen_now = tf.RaggedTensor.from_sparse(raw[SEEN])
        seen_now = seen_now.with_flat_values(self._parser.positions(seen_now.flat_values))
        return Queries(
            features=features,
            vectors=self._encoders.encode_query(features) if self._encoders else stored.vectors,
            known=stored.known,
            described=stored.known | (items.row_lengths() > 0) | (context != b""),
            num_events=num_events,
            seen=tf.concat([stored.seen, seen_now, positions], axis=1),
            recent=tf.concat([before, positions], axis=1)[:, -RECENT_EVENTS:],
        )

    def user_ids(self) -> tf.Tensor:
        """Return the ids of all stored users, string `(num_users,)`, in no order."""
        keys, positions = self._positions.export()
        return tf.gather(keys, tf.where(positions < self._num_users)[:, 0])


class _Traced:
    """Keeps a traced function out of the SavedModel's objects; as a part of the signatures it is there.

    Args:
      function: of user ids, histories and contexts.
      inline: whether its operations become those of its callers; a branch not taken costs something for each of its
        operations, and for a function that stays one, once.
    """

    def __init__(self, function: Callable[..., Any], inline: bool = True) -> None:
        specs = [tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)]
        self.function = tf.function(
            function,
            input_signature=[*specs, specs[0]],
            autograph=False,
            experimental_attributes={"_noinline": not inline},
        )


def _merged(column: str, fresh: tf.Tensor, stored: tf.Tensor, use_fresh: tf.Tensor) -> tf.Tensor:
    """Return a field as the request has it, or as it is stored; a request's history follows the stored one."""
    if column == HISTORY and fresh.shape.rank == 2:
        stored = _appended(stored, fresh)
    return tf.where(tf.reshape(use_fresh, [-1] + [1] * (fresh.shape.rank - 1)), fresh, stored)


def _appended(stored: tf.Tensor, fresh: tf.Tensor) -> tf.Tensor:
    """Return two sequences of ids as one, the newest kept and padding in front, int64 `(batch_size, length)`."""
    both = tf.reverse(tf.concat([stored, fresh], axis=1), [1])
    newest_first = kept(both, both > 0)
    return tf.reverse(newest_first.to_tensor(shape=[None, stored.shape[1]]), [1])


def _has_value(column: tf.SparseTensor, num_rows: tf.Tensor) -> tf.Tensor:
    """Return whether a row has any value, bool `(num_rows,)`."""
    first = tf.ones_like(column.indices[:, 0])
    return tf.math.unsorted_segment_sum(first, column.indices[:, 0], num_rows) > 0


def _or_else(column: tf.SparseTensor, values: tf.Tensor) -> tf.SparseTensor:
    """Return each row's first value, or where it has none the one of `values`."""
    told = _has_value(column, tf.size(values))
    first = tf.where(told, scalar(column, 0), tf.cast(values, column.dtype))
    rows = tf.range(tf.size(values, tf.int64))
    return tf.SparseTensor(tf.stack([rows, tf.zeros_like(rows)], axis=1), first, [tf.size(rows, tf.int64), 1])


def _with_nobody(values: np.ndarray) -> np.ndarray:
    """Return the users' values with a row of zeros behind, for users who are unknown."""
    return np.concatenate([values, np.zeros_like(values, shape=(1, *values.shape[1:]))])


def _stored(values: np.ndarray) -> np.ndarray:
    """Return what is kept of the users, ids in half the memory; they come back with `_loaded`."""
    values = _with_nobody(values)
    return values.astype(np.int32) if values.dtype == np.int64 else values


def _loaded(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.int64) if values.dtype == tf.int32 else values
