"""One's own interactions: CSV, Parquet or TFRecord with a column mapping, user and item tables joined in by id."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets import columns as c
from datasets.delimited import read_delimited
from datasets.interactions import Interactions
from datasets.quarantine import Quarantine
from datasets.records import Records, as_seconds, number, text
from datasets.tf_examples import read_examples
from settings.data import TableSource
from settings.errors import DataError

_REMEDY = "Change the mapping under data.source.columns"


def read_tables(source: TableSource, quarantine: Quarantine) -> Interactions:
    """Read the interactions and what is known of users and items.

    Times may be whole seconds since 1970 or, in Parquet, any date or time type.

    Raises:
      DataError: a file is missing or damaged, or lacks a column that the configuration names.
    """
    names = source.columns
    records = _read(Path(source.path).expanduser(), quarantine)
    for role in (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.RATING):
        if (name := getattr(names, role)) is not None:
            records.require([name], f"data.source.columns.{role} names it. {_REMEDY}")
    wanted = [records.ids(name, names.ids) for name in (names.user_id, names.item_id)]
    wanted += [records.seconds(names.timestamp)]
    wanted += [number(names.rating, pa.float32())] if names.rating else []
    table = records.typed(*wanted).table
    ones = pa.chunked_array([pa.repeat(pa.scalar(1.0, pa.float32()), table.num_rows)])
    events = pa.table(
        {
            c.USER_ID: table[names.user_id],
            c.ITEM_ID: table[names.item_id],
            c.TIMESTAMP: table[names.timestamp],
            c.RATING: table[names.rating] if names.rating else ones,
        }
    )
    users = _side_table(source, source.users_path, c.USER_ID, quarantine)
    items = _side_table(source, source.items_path, c.ITEM_ID, quarantine)
    found = {name for table in (users, items) if table is not None for name in table.column_names}
    unknown = sorted(set(source.list_columns) - found)
    if unknown:
        raise DataError(
            f"data.source.list_columns: {unknown[0]!r} is a column of no user or item table. "
            f"Found: {', '.join(map(repr, sorted(found))) or 'no such table'}. Correct the name"
        )
    return Interactions(events, users, items, f"table {source.path}")


def read_items(path: str, quarantine: Quarantine) -> pa.Table:
    """Read an item table with a column `item_id`, for a source whose events come from elsewhere.

    Raises:
      DataError: the file is missing or damaged, or lacks that column.
    """
    table = _side_table(TableSource(path="", items_path=path), path, c.ITEM_ID, quarantine)
    assert table is not None
    return table


def _read(path: Path, quarantine: Quarantine) -> Records:
    """Return a table in any of the formats, its texts checked."""
    if path.name.endswith((".tfrecord", ".tfrecord.gz")):
        records = read_examples(path, quarantine)
    elif path.suffix == ".parquet":
        records = _read_parquet(path, quarantine)
    else:
        return read_delimited(path, quarantine=quarantine)
    texts = [f.name for f in records.table.schema if pa.types.is_string(f.type) or pa.types.is_binary(f.type)]
    return records.typed(*map(text, texts))


def _read_parquet(path: Path, quarantine: Quarantine) -> Records:
    if not path.is_file():
        raise DataError(f"{path}: does not exist. Check data.source, or give --data-path")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}). Write or transfer it again") from None
    if table.num_rows == 0:
        raise DataError(f"{path}: holds no row. Expected at least one")
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: names column {repeated[0]!r} more than once. Rename one of them")
    return Records(str(path), table, quarantine=quarantine)


def _side_table(source: TableSource, path: str | None, role: str, quarantine: Quarantine) -> pa.Table | None:
    """Return a user or item table with typed columns, keyed by `role`."""
    if path is None:
        return None
    records, id_name = _read(Path(path).expanduser(), quarantine), getattr(source.columns, role)
    records.require([id_name], f"data.source.columns.{role} names it. {_REMEDY}")
    records = records.typed(records.ids(id_name, source.columns.ids))
    table = {role: records.table[id_name]}
    for name in records.table.column_names:
        if name == id_name:
            continue
        if name == role:
            raise DataError(
                f"{path}: column {name!r} is not the one that data.source.columns.{role} names ({id_name!r}). "
                "Rename or remove it"
            )
        table[name] = _typed(records, name, name in source.list_columns)
    return pa.table(table)


def _typed(records: Records, name: str, is_list: bool) -> pa.ChunkedArray:
    """Return a column in one of the types that `Interactions` allows: text as numbers where all of it is.

    Raises:
      DataError: no such type can hold it.
    """
    values = records.table[name]
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        element = _plain(values.type.value_type)
        if element is not None:
            return pc.cast(values, pa.list_(element))
    elif is_list:
        parts = pc.split_pattern(pc.fill_null(pc.cast(values, pa.string()), ""), "|")
        return pc.if_else(pc.equal(pc.fill_null(values, ""), ""), pa.scalar([], parts.type), parts)
    elif pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        return as_seconds(values)
    elif (kind := _plain(values.type)) is not None:
        return _without_nan(_numeric(values) if kind == pa.string() else pc.cast(values, kind))
    raise DataError(
        f"{records.path}: column {name!r} holds {values.type}. Expected text, numbers, times, or lists of text or "
        "numbers. Leave it out, or write it as one of these"
    )


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """Return the type that holds single values of a type in an example, None where there is none."""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float32()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_null(kind):
        return pa.string()
    return None


def _numeric(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts as integers or floats where every one of them is and there is one at all."""
    if pa.types.is_null(values.type) or values.null_count == len(values):
        return pc.cast(values, pa.string())
    for kind in (pa.int64(), pa.float32()):
        try:
            return pc.cast(values, kind)
        except pa.ArrowInvalid:
            continue
    return pc.cast(values, pa.string())


def _without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return floats with what is not a number as missing."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
