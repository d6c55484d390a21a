"""MIND, the Microsoft news data set, in its official files: https://msnews.github.io."""

from __future__ import annotations

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datasets import pages
from datasets.delimited import read_delimited
from datasets.interactions import Interactions
from datasets.quarantine import Quarantine, shown
from datasets.records import Column
from settings.data import PageExamples

_BEHAVIORS = ["request_id", "user_id", "time", "history", "impressions"]
_NEWS = ["item_id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities"]
_TIME = "%m/%d/%Y %I:%M:%S %p"


def read_mind(folder: Path, examples: PageExamples, quarantine: Quarantine) -> Interactions:
    """Read behaviors.tsv and news.tsv.

    An impression of MIND is a page. Its items stand in no order of slots: the data set shuffled them. News that only
    impressions name are in the catalogue without category and title.

    Raises:
      DataError: a file is missing, or too many rows are damaged; names the lines.
    """
    read = functools.partial(read_delimited, separator="\t", quoted=False, quarantine=quarantine)
    behaviors = read(folder / "behaviors.tsv", names=_BEHAVIORS)
    ids = [behaviors.ids(name) for name in ("request_id", "user_id")]
    behaviors = behaviors.typed(*ids, _time("time"), _marked("impressions"))
    news = read(folder / "news.tsv", names=_NEWS)
    news = news.typed(news.ids("item_id"))
    marked = pc.split_pattern(behaviors.table["impressions"].combine_chunks(), " ")
    offsets = marked.offsets
    clicked = pc.ends_with(marked.values, "-1")
    slots = pc.list_parent_indices(marked)
    place = pa.array(range(len(clicked)), pa.int64())
    slot = pc.subtract(place, pc.cast(offsets, pa.int64()).take(slots))
    ends = pc.cumulative_sum(pc.cast(clicked, pa.int32()))
    num_clicked = pa.concat_arrays([pa.array([0], pa.int32()), ends]).take(offsets)
    table = pa.table(
        {
            "request_id": behaviors.table["request_id"],
            "user_id": behaviors.table["user_id"],
            "timestamp": behaviors.table["time"],
            "history": pc.coalesce(
                pc.split_pattern(behaviors.table["history"], " "), pa.scalar([], pa.list_(pa.string()))
            ),
            "menu": pa.ListArray.from_arrays(offsets, pc.utf8_slice_codeunits(marked.values, 0, -2)),
            "clicked": pa.ListArray.from_arrays(num_clicked, pc.cast(slot.filter(clicked), pa.int32())),
        }
    )
    items = news.table.select(["item_id", "category", "subcategory", "title"])
    return pages.interactions(table, examples, items, f"MIND in {folder}")


def _marked(name: str) -> Column:
    """Return a column of news, each with whether it was clicked."""
    return Column(
        name,
        lambda part: part,
        lambda part: pc.match_substring_regex(part, r"^\S+-[01]( \S+-[01])*$"),
        lambda value: f"should hold news, each with -1 (clicked) or -0, blanks between them. Received: {shown(value)}",
    )


def _time(name: str) -> Column:
    """Return a column of int64 seconds since 1970, of `11/12/2019 2:14:46 PM`."""
    return Column(
        name,
        lambda part: pc.cast(pc.strptime(part, _TIME, "s"), pa.int64()),
        pc.is_valid,
        lambda value: f"should read month/day/year hour:minute:second AM or PM. Received: {shown(value)}",
    )
