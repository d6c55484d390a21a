"""Which page a click belongs to: the join itself, on tables in memory that hold all records of their users.

    duplicates   pages of one user, second and request, clicks of one user, second and item: one of them stays
    joined       a click whose newest page (same user, item in the menu, not later) is at most the window old
    late         a click whose newest page is older
    unmatched    a click on what no page had shown its user before
    repeated     a click on an item of a page that an earlier click had joined already; joined once

Everything is sorted before it is compared, so that the order in which records arrive changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datasets import pages as p

Ints = NDArray[np.int64]
CLICK_SCHEMA = pa.schema({"user_id": pa.string(), "timestamp": pa.int64(), "item_id": pa.string()})
PAGE_SCHEMA = p.SCHEMA.remove(p.SCHEMA.get_field_index("clicked"))
# Beside the columns of a record: how often it came.
_COPIES = "copies"


@dataclass(frozen=True)
class JoinCounts:
    """What became of the records.

    Attributes:
      pages: read.
      duplicate_pages: dropped, because the page is there already.
      robot_pages: dropped, because their user has too many.
      pages_with_click: joined with at least one click.
      clicks: read.
      duplicate_clicks: dropped, as for pages.
      robot_clicks: dropped, as for pages.
      joined: clicks that belong to a page.
      repeated: clicks on what was clicked on the same page before.
      late: clicks that came after the window.
      unmatched: clicks on what was not shown before.
    """

    pages: int = 0
    duplicate_pages: int = 0
    robot_pages: int = 0
    pages_with_click: int = 0
    clicks: int = 0
    duplicate_clicks: int = 0
    robot_clicks: int = 0
    joined: int = 0
    repeated: int = 0
    late: int = 0
    unmatched: int = 0

    def __add__(self, other: JoinCounts) -> JoinCounts:
        """Return the sums."""
        return JoinCounts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


class Gathered:
    """Distinct records of some users, gathered batch by batch in bounded memory.

    Of each user at most `max_records` stay, the earliest; the same ones whatever the order of the batches.

    Args:
      schema: `PAGE_SCHEMA` or `CLICK_SCHEMA`.
      key: columns that name a record, `user_id` and `timestamp` in front.
      max_records: of one user.
      rows_at_once: gathered before duplicates and robots are dropped.
    """

    def __init__(self, schema: pa.Schema, key: Sequence[str], max_records: int, rows_at_once: int = 500_000) -> None:
        self._key = list(key)
        self._max_records = max_records
        self._rows_at_once = rows_at_once
        self._waiting = [schema.append(pa.field(_COPIES, pa.int64())).empty_table()]
        self.num_read = 0

    def add(self, records: pa.Table) -> None:
        """Take more records in."""
        self.num_read += records.num_rows
        ones = pa.array(np.ones(records.num_rows, np.int64))
        self._waiting.append(records.append_column(_COPIES, ones))
        if sum(table.num_rows for table in self._waiting) > self._rows_at_once + self._waiting[0].num_rows:
            self._waiting = [self._distinct()]

    def result(self) -> tuple[pa.Table, int, int]:
        """Return the records by user, time and key, how many duplicates were dropped, and how many of robots."""
        table = self._distinct()
        copies = pc.sum(table[_COPIES]).as_py() or 0
        return table.drop_columns(_COPIES), copies - table.num_rows, self.num_read - copies

    def _distinct(self) -> pa.Table:
        table = pa.concat_tables(self._waiting).combine_chunks()
        if not table.num_rows:
            return table
        key = _codes(table, self._key)
        # Two records of one key may differ in their lists: the first by its content stays, whichever came first.
        table = table.append_column("content", _content(table))
        order = pc.sort_indices(table, [(n, "ascending") for n in (*self._key, "content")])
        table, key = table.take(order).drop_columns("content").combine_chunks(), key[order.to_numpy()]
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        copies = np.bincount(group, weights=table[_COPIES].to_numpy()).astype(np.int64)
        kept = np.argsort(first)
        rows = first[kept]
        user = _codes(table, ["user_id"])[rows]
        new_user = np.ones(len(rows), bool)
        new_user[1:] = user[1:] != user[:-1]
        place = np.arange(len(rows)) - np.maximum.accumulate(np.where(new_user, np.arange(len(rows)), 0))
        few = place < self._max_records
        table = table.take(pa.array(rows[few]))
        return table.set_column(table.num_columns - 1, _COPIES, pa.array(copies[kept][few])).combine_chunks()


def joined(pages: Gathered, clicks: Gathered, window_seconds: int) -> tuple[pa.Table, JoinCounts]:
    """Return the pages with their clicked slots, by user, time and request, and what became of all records.

    Args:
      pages: all pages of some users.
      clicks: all clicks of the same users.
      window_seconds: a page's clicks come within this many seconds; the last one counts.
    """
    page_table, duplicate_pages, robot_pages = pages.result()
    click_table, duplicate_clicks, robot_clicks = clicks.result()
    page, slot, gap = _newest_page(page_table, click_table)
    inside = (page >= 0) & (gap <= window_seconds)
    # In the order in which they were clicked; a slot that was clicked twice counts once.
    time = click_table["timestamp"].to_numpy()[inside]
    order = np.lexsort((slot[inside], time, page[inside]))
    pairs = np.stack([page[inside][order], slot[inside][order]])
    _, first = np.unique(pairs, axis=1, return_index=True) if pairs.size else (None, np.zeros(0, np.int64))
    pairs = pairs[:, np.sort(first)]
    num_clicks = np.bincount(pairs[0], minlength=page_table.num_rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(num_clicks)]), pa.int32())
    clicked = pa.ListArray.from_arrays(offsets, pa.array(pairs[1], pa.int32()))
    counts = JoinCounts(
        pages=pages.num_read,
        duplicate_pages=duplicate_pages,
        robot_pages=robot_pages,
        pages_with_click=int((num_clicks > 0).sum()),
        clicks=clicks.num_read,
        duplicate_clicks=duplicate_clicks,
        robot_clicks=robot_clicks,
        joined=pairs.shape[1],
        repeated=int(inside.sum()) - pairs.shape[1],
        late=int(((page >= 0) & ~inside).sum()),
        unmatched=int((page < 0).sum()),
    )
    return page_table.append_column("clicked", clicked), counts


def _newest_page(pages: pa.Table, clicks: pa.Table) -> tuple[Ints, Ints, Ints]:
    """Return for each click the newest page that showed it (-1: none), the item's first slot there, and the seconds."""
    menu = pages["menu"].combine_chunks()
    shown = menu.flatten()
    owner = pc.list_parent_indices(menu).to_numpy()
    lengths = pc.list_value_length(menu).to_numpy()
    slot = np.arange(len(shown)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    num_shown = len(shown)
    user = _encoded(pages["user_id"], clicks["user_id"])
    item = _encoded(shown, clicks["item_id"])
    pair = np.concatenate([user[: pages.num_rows][owner], user[pages.num_rows :]]) * (item.max(initial=0) + 1) + item
    time = np.concatenate([pages["timestamp"].to_numpy()[owner], clicks["timestamp"].to_numpy()])
    is_click = np.arange(len(pair)) >= num_shown
    page = np.concatenate([owner, np.zeros(clicks.num_rows, np.int64)])
    # A page of the click's own second comes before it; of pages of one second the last request is the newest.
    order = np.lexsort((-np.concatenate([slot, np.zeros(clicks.num_rows, np.int64)]), page, is_click, time, pair))
    newest = np.maximum.accumulate(np.where(is_click[order], -1, np.arange(len(order))))
    at_click = np.flatnonzero(is_click[order])
    clicked = order[at_click] - num_shown
    source = order[np.maximum(newest[at_click], 0)]
    found = (newest[at_click] >= 0) & (pair[source] == pair[order[at_click]])
    result = np.full((3, clicks.num_rows), -1, np.int64)
    matched = source[found]
    result[:, clicked[found]] = [page[matched], slot[matched], time[order[at_click]][found] - time[matched]]
    return result[0], result[1], result[2]


def _encoded(left: pa.ChunkedArray | pa.Array, right: pa.ChunkedArray) -> Ints:
    """Return both columns' values as numbers of one code."""
    chunks = [*(left.chunks if isinstance(left, pa.ChunkedArray) else [left]), *right.chunks]
    return (
        pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    )


def _codes(table: pa.Table, names: Sequence[str]) -> Ints:
    """Return a number for each combination of the columns' values."""
    result = np.zeros(table.num_rows, np.int64)
    for name in names:
        codes = table[name].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        result = np.unique(result * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
    return result


def _content(table: pa.Table) -> pa.Array:
    """Return the lists of each record as one text."""
    lists = [name for name, kind in zip(table.column_names, table.schema.types, strict=True) if pa.types.is_list(kind)]
    if not lists:
        return pa.repeat(pa.scalar(""), table.num_rows)
    texts = [pc.binary_join(table[name], "\x1f") for name in lists]
    return pc.binary_join_element_wise(*texts, "\x1e")
