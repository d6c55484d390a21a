"""From interactions to the rows of every split: labels, joined tables, and what was known before each event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datasets import columns as c
from datasets.interactions import Interactions
from datasets.point_in_time import Past, Ties, past
from datasets.split import TRAIN, assign
from settings.data import DataSettings, LeaveOneOut
from settings.errors import DataError

Ints = NDArray[np.int64]
# Rows, and ids in their histories, turned into columns at a time: bounds the memory that a block takes.
BLOCK_ROWS = 20_000
_BLOCK_IDS = 4_000_000
# Bytes of the joined texts: one may have 10 MB, and is repeated in every row of its item.
_BLOCK_BYTES = 64_000_000
# Means are sums of whole steps of 2**-24 in 64 bits: exact below this.
_MAX_RATING_SUM = 2.0**38


@dataclass(frozen=True)
class Timeline:
    """The events in time order with their splits and pasts.

    Args:
      data: what a reader returned; events that repeat user, item and second (and request, where they have one) are
        dropped.
      settings: split, labels, lengths.
    """

    data: Interactions
    settings: DataSettings
    num_duplicates: int = field(init=False)
    events: pa.Table = field(init=False)

    def __post_init__(self) -> None:
        raw = self.data.events
        key = [c.USER_ID, c.ITEM_ID, c.TIMESTAMP, *([c.REQUEST_ID] if c.REQUEST_ID in raw.column_names else [])]
        numbered = raw.select(key).append_column("row", pa.array(np.arange(raw.num_rows)))
        first = numbered.group_by(key).aggregate([("row", "min")])["row_min"]
        kept = np.sort(first.to_numpy())
        times = raw[c.TIMESTAMP].to_numpy()[kept]
        events = raw.take(pa.array(kept[np.argsort(times, kind="stable")]))
        object.__setattr__(self, "events", events.combine_chunks())
        object.__setattr__(self, "num_duplicates", raw.num_rows - events.num_rows)

    @cached_property
    def time(self) -> Ints:
        """Seconds of each event, ascending."""
        return self.events[c.TIMESTAMP].to_numpy()

    @cached_property
    def users(self) -> tuple[pa.Array, Ints]:
        """User ids, and each event's number among them."""
        return _numbered(self.events[c.USER_ID])

    @cached_property
    def items(self) -> tuple[pa.Array, Ints]:
        """Item ids of the events, and each event's number among them."""
        return _numbered(self.events[c.ITEM_ID])

    @cached_property
    def split(self) -> Ints:
        """Each event's index into `columns.EVENT_SPLITS`."""
        return assign(self.users[1], self.time, self.settings.split)

    @cached_property
    def _chosen(self) -> NDArray[np.bool_]:
        """Whether each event enters histories and counts."""
        if c.CHOSEN not in self.events.column_names:
            return np.ones(len(self.time), bool)
        return self.events[c.CHOSEN].to_numpy()

    @cached_property
    def _user_past(self) -> Past:
        return past(self.users[1], self.time, self._ties, self._chosen)

    @cached_property
    def _item_past(self) -> Past:
        return past(self.items[1], self.time, self._ties, self._chosen)

    @property
    def _ties(self) -> Ties:
        return "file_order" if isinstance(self.settings.split, LeaveOneOut) else "strict"

    def blocks(self, split: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of `train`, `eval` or `test` in time order."""
        rows = np.flatnonzero(self.split == c.EVENT_SPLITS.index(split))
        with_seen = split != "train"
        num_bytes = _text_bytes(self.data.users, c.USER_ID, self.users)[rows]
        num_bytes += _text_bytes(self.data.items, c.ITEM_ID, self.items)[rows]
        for block in self._cut(rows, self._user_past.counts[rows], with_seen, num_bytes):
            yield self._event_rows(block, with_seen)

    def sample(self, split: str, num_rows: int) -> pa.RecordBatch:
        """Return at most `num_rows` rows of a split, evenly spread over its time."""
        rows = np.flatnonzero(self.split == c.EVENT_SPLITS.index(split))
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, num_rows).astype(np.int64))]
        return self._event_rows(chosen, with_seen=False)

    def _cut(self, rows: Ints, counts: Ints, with_seen: bool, num_bytes: Ints | int = 0) -> list[Ints]:
        """Cut rows into blocks of at most about `BLOCK_ROWS` rows, `_BLOCK_IDS` earlier items and `_BLOCK_BYTES`."""
        ids = np.minimum(counts, self.settings.history_length)
        if with_seen:
            ids = ids + np.minimum(counts, self.settings.seen_limit)
        filled = np.cumsum(1 / BLOCK_ROWS + ids / _BLOCK_IDS + num_bytes / _BLOCK_BYTES)
        return np.split(rows, np.flatnonzero(np.diff(filled.astype(np.int64))) + 1)

    def item_rows(self) -> pa.RecordBatch:
        """Return the catalogue, ascending by id, with counts and means as of the end of train."""
        train = self.split == TRAIN
        ids = self.items[0]
        table = self.data.items
        catalogue = (
            pc.unique(table[c.ITEM_ID]) if table is not None else pc.unique(self.events[c.ITEM_ID].filter(train))
        )
        catalogue = catalogue.take(pa.array(_id_order(catalogue)))
        number = pc.index_in(catalogue, ids).to_numpy(zero_copy_only=False)
        chosen = np.bincount(self.items[1][train & self._chosen], minlength=len(ids))
        counts = np.bincount(self.items[1][train], minlength=len(ids)).astype(np.float64)
        sums = np.bincount(self.items[1][train], weights=self._ratings[train], minlength=len(ids))
        known = ~np.isnan(number)
        place = np.where(known, number, 0).astype(np.int64)
        count = np.where(known, chosen[place], 0)
        rated = np.where(known, counts[place], 0)
        mean = np.where(rated > 0, sums[place] / np.maximum(rated, 1), np.nan)
        columns = {
            c.ITEM_ID: _lists(catalogue),
            c.ITEM_EVENT_COUNT: _lists(pa.array(count)),
            c.ITEM_RATING_MEAN: _lists(_floats(mean)),
        }
        return pa.RecordBatch.from_pydict(columns | _joined(table, c.ITEM_ID, catalogue))

    def user_blocks(self) -> Iterator[pa.RecordBatch]:
        """Yield one row a user, ascending by id, with the state after the user's last event."""
        ids, number = self.users
        order = _id_order(ids)
        last = np.zeros(len(ids), np.int64)
        last[number] = np.arange(len(number))  # events stand in time order: the last assignment wins
        counts = np.bincount(number[self._chosen], minlength=len(ids))
        means = np.bincount(number, weights=self._ratings, minlength=len(ids)) / np.bincount(number)
        after = past(number, self.time, "file_order", self._chosen)
        for users in self._cut(order, counts[order], with_seen=True):
            rows = last[users]
            chosen = ids.take(pa.array(users))
            columns = {
                c.USER_ID: _lists(chosen),
                c.TIMESTAMP: _lists(pa.array(self.time[rows])),
                c.USER_EVENT_COUNT: _lists(pa.array(counts[users])),
                c.USER_RATING_MEAN: _lists(_floats(means[users])),
                c.HISTORY: self._window(after, rows, self.settings.history_length, inclusive=True),
                c.SEEN: self._window(after, rows, self.settings.seen_limit, inclusive=True),
            }
            state = self.events.select(self.data.state).take(pa.array(rows))
            columns |= {name: _raw(state[name]) for name in state.column_names}
            yield pa.RecordBatch.from_pydict(columns | _joined(self.data.users, c.USER_ID, chosen))

    def summary(self) -> dict[str, dict[str, int]]:
        """Return rows, users, items and first and last second of each split of events."""
        result = {}
        for number, name in enumerate(c.EVENT_SPLITS):
            rows = self.split == number
            result[name] = {
                "rows": int(rows.sum()),
                "users": len(np.unique(self.users[1][rows])),
                "items": len(np.unique(self.items[1][rows])),
                "first_timestamp": int(self.time[rows].min()),
                "last_timestamp": int(self.time[rows].max()),
            }
        return result

    @cached_property
    def _ratings(self) -> NDArray[np.float64]:
        ratings = self.events[c.RATING].to_numpy().astype(np.float64)
        if (total := np.abs(ratings).sum()) >= _MAX_RATING_SUM:
            raise DataError(
                f"data.source.columns.rating: the ratings add up to {total:.3g}. Expected less than "
                f"{_MAX_RATING_SUM:.3g}, so that their means are exact. Give them in a larger unit"
            )
        return ratings

    @cached_property
    def _sequence_ends(self) -> NDArray[np.bool_]:
        """Mark each user's last train event, and every `history_length`-th before it."""
        train = np.flatnonzero((self.split == TRAIN) & self._chosen)
        user = self.users[1][train]
        order = np.argsort(user, kind="stable")
        _, start, count = np.unique(user[order], return_index=True, return_counts=True)
        from_end = np.repeat(start + count, count) - 1 - np.arange(len(order))
        marked = np.zeros(len(self.time), bool)
        marked[train[order[from_end % self.settings.history_length == 0]]] = True
        return marked

    def _event_rows(self, rows: Ints, with_seen: bool) -> pa.RecordBatch:
        events, ratings = self.events.take(pa.array(rows)), self._ratings[rows]
        bound = self.settings.relevant_at_least
        relevant = np.ones(len(rows)) if bound is None else ratings >= bound
        elapsed = self.time[rows] - self._user_last[rows]
        item_counts, user_counts = self._item_past.counts[rows], self._user_past.counts[rows]
        query = pc.binary_join_element_wise(events[c.USER_ID], pc.cast(events[c.TIMESTAMP], pa.string()), "@")
        columns = {
            c.USER_ID: _lists(events[c.USER_ID]),
            c.ITEM_ID: _lists(events[c.ITEM_ID]),
            c.TIMESTAMP: _lists(events[c.TIMESTAMP]),
            c.RATING: _lists(events[c.RATING]),
            c.RELEVANT: _lists(_floats(relevant)),
            c.LIKED: _lists(_floats(ratings >= self.settings.liked_at_least)),
            c.QUERY_ID: _lists(query),
            c.HISTORY: self._window(self._user_past, rows, self.settings.history_length),
            c.USER_EVENT_COUNT: _lists(pa.array(user_counts)),
            c.USER_RATING_MEAN: _lists(_floats(self._user_means[rows])),
            c.ITEM_EVENT_COUNT: _lists(pa.array(item_counts)),
            c.ITEM_RATING_MEAN: _lists(_floats(self._item_means[rows])),
            c.SECONDS_SINCE_LAST_EVENT: _lists(_floats(elapsed)),
        }
        if with_seen:
            columns[c.SEEN] = self._window(self._user_past, rows, self.settings.seen_limit)
        else:
            columns[c.SEQUENCE_END] = _lists(pa.array(self._sequence_ends[rows].astype(np.int64)))
        known = {c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.RATING, c.CHOSEN}
        columns |= {name: _raw(events[name]) for name in events.column_names if name not in known}
        columns |= _joined(self.data.users, c.USER_ID, events[c.USER_ID])
        return pa.RecordBatch.from_pydict(columns | _joined(self.data.items, c.ITEM_ID, events[c.ITEM_ID]))

    @cached_property
    def _user_means(self) -> NDArray[np.float64]:
        return self._rated_past(self._user_past, self.users[1]).means(self._ratings)

    @cached_property
    def _item_means(self) -> NDArray[np.float64]:
        return self._rated_past(self._item_past, self.items[1]).means(self._ratings)

    def _rated_past(self, chosen: Past, group: Ints) -> Past:
        """Return the past with all events: a mean of clicks is a click rate only beside what was not clicked."""
        return chosen if self._chosen.all() else past(group, self.time, self._ties)

    @cached_property
    def _user_last(self) -> NDArray[np.float64]:
        return self._user_past.last(self.time)

    def _window(self, history: Past, rows: Ints, length: int, inclusive: bool = False) -> pa.Array:
        """Return the items of the newest earlier events of each row, as lists of ids."""
        offsets, events = history.windows(rows, length, inclusive)
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), pc.cast(self.items[0], pa.binary()).take(pa.array(self.items[1][events]))
        )


def _numbered(ids: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    encoded = ids.combine_chunks().dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)


def _id_order(ids: pa.Array | pa.ChunkedArray) -> Ints:
    """Return the order of ascending ids: as numbers where all are, else as text."""
    values = ids.to_pylist()
    try:
        keys = [(int(value), value) for value in values]
    except ValueError:
        keys = [(0, value) for value in values]
    return np.array(sorted(range(len(values)), key=keys.__getitem__), dtype=np.int64)


def _floats(values: NDArray[np.generic]) -> pa.Array:
    """Return float32 with NaN as missing."""
    return pa.array(values.astype(np.float32), from_pandas=True)


def _lists(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return each value as a list of one, a missing one as a missing list: the shape that tf.Examples have."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if pa.types.is_string(values.type):
        values = pc.cast(values, pa.binary())
    elif pa.types.is_floating(values.type):
        values = pc.cast(values, pa.float32())
    elif pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        values = pc.cast(values, pa.int64())
    valid = np.asarray(values.is_valid())
    offsets = np.concatenate([[0], np.cumsum(valid)])
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.drop_null())
    return lists if valid.all() else pc.if_else(pa.array(valid), lists, pa.scalar(None, lists.type))


def _text_bytes(table: pa.Table | None, key: str, events: tuple[pa.Array, Ints]) -> Ints:
    """Return how many bytes of text `table` adds to each event, given the events' ids and numbers among them."""
    ids, number = events
    if table is None:
        return np.zeros(len(number), np.int64)
    size = np.zeros(table.num_rows + 1, np.int64)  # the last: ids that the table does not have
    for column in table.columns:
        if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
            column = pc.binary_join(column, "")
        if pa.types.is_string(column.type):
            size[:-1] += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    place = pc.fill_null(pc.index_in(ids, table[key]), table.num_rows).to_numpy(zero_copy_only=False)
    return size[place][number]


def _joined(table: pa.Table | None, key: str, ids: pa.Array | pa.ChunkedArray) -> dict[str, pa.Array]:
    """Return the other columns of `table` at the rows of `ids`, missing where the table has no such id."""
    if table is None:
        return {}
    place = pc.index_in(ids, table[key])
    place = place.combine_chunks() if isinstance(place, pa.ChunkedArray) else place
    result = {}
    for name in table.column_names:
        if name == key:
            continue
        if name in vars(c).values():
            raise DataError(
                f"column {name!r} of the {key.removesuffix('_id')} table is computed by Shortlist. Rename it"
            )
        result[name] = _raw(table[name].combine_chunks().take(place))
    return result


def _raw(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as lists, whether it held single values or lists."""
    if not pa.types.is_list(values.type):
        return _lists(values)
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    kind = pa.binary() if pa.types.is_string(values.type.value_type) else values.type.value_type
    return values.cast(pa.list_(kind))
