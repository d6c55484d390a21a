"""Criteo and Avazu: displayed advertisements with or without a click, and no word of who saw which one.

Both are logs of anonymous rows for models that predict a click. All rows are of the one item `ad`, and every
`ROWS_A_USER` rows in file order, shown at about the same time, stand for a user: metrics per user compare them, and
confidence intervals draw them together. They are marked as not chosen, so that no history, count or seen item is made
of them. What is known of the moment are the columns of the row. The click is the rating: 1 or 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets import columns as c
from datasets.delimited import read_delimited
from datasets.interactions import Interactions
from datasets.quarantine import Quarantine, shown
from datasets.records import Column, number, optional_number
from settings.errors import DataError

ITEM = "ad"
ROWS_A_USER = 20
CRITEO_COUNTS = tuple(f"i{n}" for n in range(1, 14))
CRITEO_CATEGORIES = tuple(f"c{n}" for n in range(1, 27))
# The official file, or the parts of a sample, in this order.
_CRITEO_FILES = (("train.txt",), ("train.csv", "dev.csv", "test.csv"))
_HEXADECIMAL = "^[0-9a-f]{1,16}$"
AVAZU_HEXADECIMAL = (
    "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category", "device_id", "device_ip",
    "device_model",
)  # fmt: skip
AVAZU_NUMBERED = (
    "C1", "banner_pos", "device_type", "device_conn_type", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21",
)  # fmt: skip


def criteo_files(path: Path) -> list[Path]:
    """Return the labelled files that `path` stands for: itself, or in a folder `train.txt` or the parts of a sample.

    Raises:
      DataError: there is none.
    """
    if path.is_file():
        return [path]
    for names in _CRITEO_FILES:
        found = [path / name for name in names if (path / name).is_file()]
        if found:
            return found
    raise DataError(
        f"data.source.path: {path} is no file, and no folder with train.txt or train.csv. Expected Criteo's rows: "
        "a label, 13 counts and 26 categories, tabs between them. Name them with --data-path"
    )


def avazu_file(path: Path) -> Path:
    """Return the labelled file that `path` stands for: itself, or in a folder `train.csv` or `train.csv.gz`.

    Raises:
      DataError: there is none.
    """
    for file in (path, path / "train.csv", path / "train.csv.gz"):
        if file.is_file():
            return file
    raise DataError(
        f"data.source.path: {path} is no file, and no folder with train.csv. Expected Avazu's labelled rows; name "
        "them with --data-path"
    )


def read_criteo(path: Path, quarantine: Quarantine) -> Interactions:
    """Read Criteo's display advertising rows: columns `i1..i13` (counts) and `c1..c26` (hashed), both with gaps.

    The rows are in order of time, and without times: a row's number stands for its second.
    """
    names = ["label", *CRITEO_COUNTS, *CRITEO_CATEGORIES]
    checks = [
        _click("label"),
        *(optional_number(name, pa.int64()) for name in CRITEO_COUNTS),
        *(_hexadecimal(name) for name in CRITEO_CATEGORIES),
    ]
    parts = [
        read_delimited(file, "\t", names, quoted=False, quarantine=quarantine).typed(*checks).table
        for file in criteo_files(path)
    ]
    table = pa.concat_tables(parts)
    time = pa.array(np.arange(table.num_rows))
    return _interactions(table, "label", time, [*CRITEO_COUNTS, *CRITEO_CATEGORIES], f"Criteo in {path}")


def read_avazu(path: Path, quarantine: Quarantine) -> Interactions:
    """Read Avazu's mobile advertisements: comma separated with a header; `id` becomes `request_id`, `hour` the time.

    All other columns are categories and keep their official names; an hour is all that is known of the time.
    """
    records = read_delimited(avazu_file(path), quarantine=quarantine)
    kept = [*AVAZU_HEXADECIMAL, *AVAZU_NUMBERED]
    records.require(["id", "click", "hour", *kept], "Expected Avazu's train.csv; name it with --data-path")
    checks = [records.ids("id"), _click("click"), _hour("hour"), *(_hexadecimal(name) for name in AVAZU_HEXADECIMAL)]
    table = records.typed(*checks).table
    data = _interactions(table, "click", table["hour"], kept, f"Avazu in {path}")
    events = data.events.append_column(c.REQUEST_ID, table["id"])
    return Interactions(events, None, None, data.source)


def _interactions(
    table: pa.Table, label: str, time: pa.Array | pa.ChunkedArray, kept: list[str], source: str
) -> Interactions:
    count = table.num_rows
    columns = {
        c.USER_ID: pc.cast(pa.array(np.arange(count) // ROWS_A_USER), pa.string()),
        c.ITEM_ID: pa.repeat(pa.scalar(ITEM), count),
        c.TIMESTAMP: time,
        c.RATING: table[label],
        c.CHOSEN: pa.repeat(pa.scalar(False), count),
    }
    return Interactions(pa.table(columns | {name: table[name] for name in kept}), None, None, source)


def _click(name: str) -> Column:
    """Return a label: 0 or 1, and nothing else."""
    label = number(name, pa.float32())
    either = pa.array([0, 1], pa.float32())
    return Column(
        name,
        label.convert,
        lambda part: pc.is_in(part, either),
        lambda value: f"should be 0 or 1. Received: {shown(value)}",
    )


def _hexadecimal(name: str) -> Column:
    """Return a hashed category that may be missing."""
    return Column(
        name,
        lambda part: part,
        lambda part: pc.fill_null(pc.match_substring_regex(part, _HEXADECIMAL), True),
        lambda value: f"should be a hexadecimal number. Received: {shown(value)}",
    )


def _hour(name: str) -> Column:
    """Return seconds since 1970 of `YYMMDDHH`."""
    return Column(
        name,
        lambda part: pc.cast(pc.strptime(part, "%y%m%d%H", "s"), pa.int64()),
        pc.is_valid,
        lambda value: f"should be an hour as YYMMDDHH. Received: {shown(value)}",
    )
