"""One's own interactions: CSV or Parquet with a column mapping, user and item tables joined in by id."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets import columns as c
from datasets.delimited import numbers, read_bytes, read_delimited
from datasets.interactions import Interactions
from settings.data import TableSource
from settings.errors import DataError


def read_tables(source: TableSource) -> Interactions:
    """Read the interactions and what is known of users and items.

    Raises:
      DataError: a file is missing or damaged, or lacks a column that the configuration names.
    """
    path = Path(source.path)
    raw, names = _read(path), source.columns
    wanted = {c.USER_ID: names.user_id, c.ITEM_ID: names.item_id, c.TIMESTAMP: names.timestamp}
    if names.rating:
        wanted[c.RATING] = names.rating
    for role, name in wanted.items():
        _require(path, raw, name, f"data.source.columns.{role}")
    count = raw.num_rows
    ones = pa.chunked_array([pa.array([1.0] * count, pa.float32())])
    events = pa.table(
        {
            c.USER_ID: _ids(path, raw, names.user_id),
            c.ITEM_ID: _ids(path, raw, names.item_id),
            c.TIMESTAMP: numbers(path, raw, names.timestamp, pa.int64(), 2),
            c.RATING: numbers(path, raw, names.rating, pa.float32(), 2) if names.rating else ones,
        }
    )
    users = _side_table(source, source.users_path, names.user_id, c.USER_ID)
    items = _side_table(source, source.items_path, names.item_id, c.ITEM_ID)
    return Interactions(events, users, items, f"table {path}")


def _read(path: Path) -> pa.Table:
    if path.suffix != ".parquet":
        return read_delimited(path)
    read_bytes(path)
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: is not a Parquet file ({error})") from None
    if table.num_rows == 0:
        raise DataError(f"{path}: holds no row. Expected at least one")
    return table


def _require(path: Path, table: pa.Table, name: str, key: str) -> None:
    if name not in table.column_names:
        raise DataError(
            f"{path}: has no column {name!r}, which {key} names. Found: {table.column_names}. "
            "Change the mapping under data.source.columns"
        )


def _ids(path: Path, table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return an id column as strings, none of them missing."""
    values = pc.cast(table[name], pa.string())
    missing = pc.fill_null(pc.equal(values, ""), True)
    if pc.any(missing).as_py():
        row = pc.index(missing, True).as_py()
        raise DataError(f"{path}, row {row + 1} (line {row + 2} of a CSV): {name} is missing. Give the row an id")
    return values


def _side_table(source: TableSource, path_text: str | None, id_name: str, role: str) -> pa.Table | None:
    """Return a user or item table with typed columns, keyed by `role`, the first row of an id winning."""
    if path_text is None:
        return None
    path = Path(path_text)
    raw = _read(path)
    _require(path, raw, id_name, f"data.source.columns.{role}")
    table = {role: _ids(path, raw, id_name)}
    for name in raw.column_names:
        if name == id_name:
            continue
        if name in source.list_columns:
            table[name] = _parts(raw[name])
        else:
            table[name] = _typed(raw[name])
    return pa.table(table)


def _parts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return lists of the parts between bars; nothing gives an empty list."""
    texts = pc.cast(values, pa.string()).to_pylist()
    return pa.chunked_array([pa.array([text.split("|") if text else [] for text in texts], pa.list_(pa.string()))])


def _typed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return strings as integers or floats where every one of them is."""
    if not pa.types.is_string(values.type):
        return values
    for kind in (pa.int64(), pa.float32()):
        try:
            return pc.cast(values, kind)
        except pa.ArrowInvalid:
            continue
    return values
