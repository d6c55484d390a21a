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

Features = dict[str, tf.Tensor]
# Events that tell what a user likes now: the newest.
RECENT_EVENTS = 20


@dataclass(frozen=True)
class Queries:
    """A batch of queries; positions are those of the catalogue.

    Attributes:
      features: transformed query fields by name, and `CATALOGUE_INDEX`, which names no item.
      known: bool `(batch_size,)`, whether the user is stored.
      described: bool `(batch_size,)`, whether anything at all is known of who asks.
      num_events: int64 `(batch_size,)`, events with items of the catalogue.
      seen: int64, ragged `(batch_size, None)`, items not to be recommended again.
      recent: int64, ragged `(batch_size, None)`, items of the newest events, the newest last.
    """

    features: Features
    known: tf.Tensor
    described: tf.Tensor
    num_events: tf.Tensor
    seen: tf.RaggedTensor
    recent: tf.RaggedTensor

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a traced function can return, in the order of the constructor."""
        return self.features, self.known, self.described, self.num_events, self.seen, self.recent

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
    """

    def __init__(self, space: FeatureSpace, parser: ExampleParser, users: Users) -> None:
        super().__init__()
        self._fields = space.query()
        self._parser = parser
        self._positions = lookup_table(users.user_ids.tolist())
        self._num_users = len(users.user_ids)
        # Transform makes every field of every split; of a user the query fields are wanted.
        state = {field.name: _with_nobody(users.features[field.name]) for field in self._fields}
        self._state = {name: tf.Variable(_stored(v), trainable=False, name=name) for name, v in state.items()}
        self._seen = tf.Variable(users.seen, trainable=False, name="seen")
        starts = np.append(users.seen_starts, users.seen_starts[-1])
        self._seen_starts = tf.Variable(starts, trainable=False, name="seen_starts")
        # Traced once for all signatures.
        self._traced = _Traced(lambda *request: self._read(*request).parts)

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
        known = user < self._num_users
        raw = self._parser.parse(context, **{USER_ID: tf.string, HISTORY: tf.string, SEEN: tf.string})
        of_fields = {field.source or field.name for field in self._fields} | {HISTORY, USER_EVENT_COUNT}
        told = {name: _has_value(raw[name], num_rows) for name in sorted(of_fields & raw.keys())}
        stored_seen = self._seen_by(user)
        stored_events = tf.where(told[HISTORY], tf.zeros_like(user), stored_seen.row_lengths())
        items = tf.concat([tf.RaggedTensor.from_sparse(raw[HISTORY]), without_empty(history)], axis=1)
        positions = items.with_flat_values(self._parser.positions(items.flat_values))
        positions = _only(positions, positions.flat_values < self._parser.num_items)
        num_events = stored_events + positions.row_lengths()

        named = tf.where(user_id != b"", user_id, scalar(raw[USER_ID], ""))
        raw[HISTORY], raw[USER_ID] = items.to_sparse(), tf.sparse.from_dense(named[:, tf.newaxis])
        if USER_EVENT_COUNT in raw:
            told[USER_EVENT_COUNT] |= items.row_lengths() > 0
            raw[USER_EVENT_COUNT] = _or_else(raw[USER_EVENT_COUNT], num_events)
        fresh = self._parser.features(raw)
        features = {
            field.name: self._merged(field.name, field.source or field.name, fresh[field.name], user, known, told)
            for field in self._fields
        }
        features[CATALOGUE_INDEX] = tf.fill([num_rows], tf.constant(self._parser.num_items, tf.int64))
        seen_now = tf.RaggedTensor.from_sparse(raw[SEEN])
        seen_now = seen_now.with_flat_values(self._parser.positions(seen_now.flat_values))
        return Queries(
            features=features,
            known=known,
            described=known | (items.row_lengths() > 0) | (context != b""),
            num_events=num_events,
            seen=tf.concat([stored_seen, seen_now, positions], axis=1),
            recent=tf.concat([rows_or_nothing(~told[HISTORY], stored_seen), positions], axis=1)[:, -RECENT_EVENTS:],
        )

    def user_ids(self) -> tf.Tensor:
        """Return the ids of all stored users, string `(num_users,)`, in no order."""
        keys, positions = self._positions.export()
        return tf.gather(keys, tf.where(positions < self._num_users)[:, 0])

    def _merged(
        self, name: str, column: str, fresh: tf.Tensor, user: tf.Tensor, known: tf.Tensor, told: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Return a field as the request has it, or as it is stored."""
        stored = _loaded(tf.gather(self._state[name], user))
        if column == HISTORY and fresh.shape.rank == 2:
            stored = _appended(stored, fresh)
        use_fresh = ~known | told.get(column, tf.zeros_like(known))
        return tf.where(tf.reshape(use_fresh, [-1] + [1] * (fresh.shape.rank - 1)), fresh, stored)

    def _seen_by(self, users: tf.Tensor) -> tf.RaggedTensor:
        """Return the catalogue positions that each user has seen, int64, ragged `(num_rows, None)`."""
        starts = tf.gather(self._seen_starts, users)
        lengths = tf.gather(self._seen_starts, users + 1) - starts
        places = tf.ragged.range(starts, starts + lengths)
        return places.with_flat_values(tf.cast(tf.gather(self._seen, places.flat_values), tf.int64))


class _Traced:
    """Keeps a traced function out of the SavedModel's objects; as a part of the signatures it is there."""

    def __init__(self, function: Callable[..., Any]) -> None:
        specs = [tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)]
        self.function = tf.function(function, input_signature=[*specs, specs[0]], autograph=False)


def up_to(num_rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return string rows followed by empty ones, `num_rows` in all.

    Example:
      >>> up_to(tf.constant(2), tf.constant([["a"]])).numpy().tolist()
      [[b'a'], [b'']]
    """
    missing = tf.maximum(num_rows - tf.shape(values)[0], 0)
    padded = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1), constant_values="")
    return padded[:num_rows]


def without_empty(ids: tf.Tensor) -> tf.RaggedTensor:
    """Return the ids of each row that are not empty, string, ragged `(batch_size, None)`.

    Example:
      >>> without_empty(tf.constant([["a", ""], ["", ""]])).to_list()
      [[b'a'], []]
    """
    return _kept(ids, ids != b"")


def _appended(stored: tf.Tensor, fresh: tf.Tensor) -> tf.Tensor:
    """Return two sequences of ids as one, the newest kept and padding in front, int64 `(batch_size, length)`."""
    both = tf.reverse(tf.concat([stored, fresh], axis=1), [1])
    newest_first = _kept(both, both > 0)
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


def rows_or_nothing(keep: tf.Tensor, values: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return the rows where `keep`, bool `(batch_size,)`, is True, and empty ones elsewhere.

    Example:
      >>> rows_or_nothing(tf.constant([False, True]), tf.ragged.constant([[1, 2], [3]])).to_list()
      [[], [3]]
    """
    return _only(values, tf.gather(keep, values.value_rowids()))


# TensorFlow's own ragged masks check what is known here, with many times as many operations to trace and to load.
def _kept(values: tf.Tensor, keep: tf.Tensor) -> tf.RaggedTensor:
    """Return of each row of a matrix the values to keep."""
    lengths = tf.reduce_sum(tf.cast(keep, tf.int64), axis=1)
    return tf.RaggedTensor.from_row_lengths(tf.gather_nd(values, tf.where(keep)), lengths, validate=False)


def _only(values: tf.RaggedTensor, keep: tf.Tensor) -> tf.RaggedTensor:
    """Return of each row the values to keep; `keep` is as long as the flat values."""
    places = tf.where(keep)[:, 0]
    rows = tf.gather(values.value_rowids(), places)
    flat = tf.gather(values.flat_values, places)
    return tf.RaggedTensor.from_value_rowids(flat, rows, nrows=values.nrows(), validate=False)


def _with_nobody(values: np.ndarray) -> np.ndarray:
    """Return the users' values with a row of zeros behind, for users who are unknown."""
    return np.concatenate([values, np.zeros_like(values, shape=(1, *values.shape[1:]))])


def _stored(values: np.ndarray) -> np.ndarray:
    """Return ids in half the memory; they come back with `_loaded`."""
    return values.astype(np.int32) if values.dtype == np.int64 else values


def _loaded(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.int64) if values.dtype == tf.int32 else values
