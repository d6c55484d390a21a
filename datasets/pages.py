"""Pages: what was shown to whom, in which order, and what was clicked; every impression log is brought into this form.

A table of pages has the columns

    request_id  string        of the page; with the user it names the page
    user_id     string
    timestamp   int64         seconds since 1970 at which the page was served
    history     list<string>  what the user had watched or read before, oldest first, as the log tells it
    menu        list<string>  items in slot order
    clicked     list<int32>   slots of the menu, counted from 0, in the order in which they were clicked
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datasets import columns as c
from datasets.interactions import Interactions
from settings.data import PageExamples
from settings.errors import DataError

MENU = "menu_item_ids"
CLICKED = "clicked_item_ids"
WATCHED = "watch_history"
POSITION = "position"
Ints = NDArray[np.int64]

SCHEMA = pa.schema(
    {
        "request_id": pa.string(),
        "user_id": pa.string(),
        "timestamp": pa.int64(),
        "history": pa.list_(pa.string()),
        "menu": pa.list_(pa.string()),
        "clicked": pa.list_(pa.int32()),
    }
)


def interactions(
    pages: pa.Table, examples: PageExamples, items: pa.Table | None, source: str, counts: dict[str, int] | None = None
) -> Interactions:
    """Return pages as the events that examples are made of.

    `examples.per: page`: one event a page, of the item that was clicked first, with the whole `menu_item_ids` and all
    `clicked_item_ids`. `per: impression`: one event an item shown, rating 1.0 where it was clicked and 0.0 where not,
    then `examples.sampled_negatives` items that were not on the page for each that was clicked. Both carry
    `request_id`, `position` (1 is the first slot; missing where the item was sampled) and the log's `watch_history`.
    Pages without a click are left out unless `examples.pages_without_click`.

    Args:
      pages: `SCHEMA`, any order of columns.
      examples: which events.
      items: what is known of items, `item_id` first; the catalogue is theirs and everything that a menu held.
      source: where the pages came from, in words.
      counts: what was counted on the way.

    Raises:
      DataError: no page is left.
    """
    pages = pages.select(SCHEMA.names).combine_chunks()
    has_click = pc.greater(pc.list_value_length(pages["clicked"]), 0)
    catalogue = _catalogue(pages, items)
    if not examples.pages_without_click:
        pages = pages.filter(has_click).combine_chunks()
    if not pages.num_rows:
        raise DataError(
            f"{source}: none of its {len(has_click)} pages was clicked. Expected clicks on what was shown; of logs "
            "that are joined compare user ids, item ids and clocks"
        )
    events = _pages(pages) if examples.per == "page" else _impressions(pages, examples, catalogue[c.ITEM_ID])
    return Interactions(events, None, catalogue, source, state=(WATCHED,), counts=counts or {})


def _pages(pages: pa.Table) -> pa.Table:
    """Return one event a page."""
    menu, clicked = pages["menu"].chunk(0), pages["clicked"].chunk(0)
    starts = menu.offsets.to_numpy()[:-1]
    owner = pc.list_parent_indices(clicked).to_numpy()
    chosen = menu.values.take(pa.array(starts[owner] + clicked.flatten().to_numpy()))
    first = clicked.values.take(pa.array(clicked.offsets.to_numpy()[:-1])).to_numpy()
    return _events(
        pages,
        np.arange(pages.num_rows),
        menu.values.take(pa.array(starts + first)),
        pa.array(first + 1, pa.int64()),
        np.ones(pages.num_rows, bool),
        {MENU: menu, CLICKED: pa.ListArray.from_arrays(_offsets(clicked), chosen)},
    )


def _impressions(pages: pa.Table, examples: PageExamples, catalogue: pa.ChunkedArray) -> pa.Table:
    """Return one event an item shown, then the sampled ones, page after page."""
    menu, clicked = pages["menu"].chunk(0), pages["clicked"].chunk(0)
    shown = menu.flatten()
    owner = pc.list_parent_indices(menu).to_numpy()
    starts = _offsets(menu).to_numpy()[:-1]
    is_clicked = np.zeros(len(shown), bool)
    is_clicked[starts[pc.list_parent_indices(clicked).to_numpy()] + clicked.flatten().to_numpy()] = True
    position = np.arange(len(shown)) - starts[owner] + 1
    items, positions = shown, pa.array(position, pa.int64())
    if examples.sampled_negatives:
        sampled_owner, sampled = _sampled(owner, shown, owner[is_clicked], catalogue, examples)
        owner = np.concatenate([owner, sampled_owner])
        order = np.argsort(owner, kind="stable")
        owner, is_clicked = owner[order], np.concatenate([is_clicked, np.zeros(len(sampled), bool)])[order]
        items = pa.concat_arrays([items, sampled]).take(pa.array(order))
        positions = pa.concat_arrays([positions, pa.nulls(len(sampled), pa.int64())]).take(pa.array(order))
    return _events(pages, owner, items, positions, is_clicked, {})


def _sampled(
    owner: Ints, shown: pa.Array, clicked_pages: Ints, catalogue: pa.ChunkedArray, examples: PageExamples
) -> tuple[Ints, pa.Array]:
    """Return pages and items drawn uniformly from the catalogue for each click, without those on the page."""
    pages = np.repeat(clicked_pages, examples.sampled_negatives)
    drawn = np.random.default_rng(examples.seed).integers(0, len(catalogue), len(pages))
    on_page = owner * len(catalogue) + pc.index_in(shown, catalogue).to_numpy()
    kept = ~np.isin(pages * len(catalogue) + drawn, on_page)
    return pages[kept], catalogue.combine_chunks().take(pa.array(drawn[kept]))


def _events(
    pages: pa.Table,
    owner: Ints,
    items: pa.Array,
    position: pa.Array,
    chosen: NDArray[np.bool_],
    more: dict[str, pa.Array],
) -> pa.Table:
    """Return events of the pages `owner`, in the columns that `Interactions` asks for."""
    rows = pa.array(owner)
    return pa.table(
        {
            c.USER_ID: pages["user_id"].take(rows),
            c.ITEM_ID: items,
            c.TIMESTAMP: pages["timestamp"].take(rows),
            c.RATING: pa.array(chosen.astype(np.float32)),
            c.CHOSEN: pa.array(chosen),
            c.REQUEST_ID: pages["request_id"].take(rows),
            POSITION: position,
            WATCHED: pages["history"].take(rows),
            **more,
        }
    )


def _catalogue(pages: pa.Table, items: pa.Table | None) -> pa.Table:
    """Return the items of which something is known and then, ascending, those that only menus hold."""
    shown = pc.unique(pages["menu"].chunk(0).flatten())
    shown = shown.take(pc.sort_indices(shown))
    if items is None:
        return pa.table({c.ITEM_ID: shown})
    new = shown.filter(pc.invert(pc.is_in(shown, items[c.ITEM_ID].combine_chunks())))
    return pa.concat_tables([items, pa.table({c.ITEM_ID: new})], promote_options="default")


def _offsets(lists: pa.ListArray) -> pa.Array:
    """Return where each list begins in the flattened values, and the end."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
