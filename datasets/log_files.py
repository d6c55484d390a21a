"""Log files as tables: JSON lines or Parquet, a piece at a time, so that files of any size are read by many workers."""

from __future__ import annotations

import dataclasses
import gzip
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from datasets.quarantine import BadRow, Quarantine, shown
from datasets.records import Records, as_seconds
from settings.errors import DataError

_PIECE_BYTES = 16_000_000
_MAX_BAD_A_PIECE = 10_000
# Seconds since 1970 are below this until the year 5138; milliseconds are above since 1973.
_MAX_SECONDS = 100_000_000_000


@dataclass(frozen=True)
class Piece:
    """A part of a file: the lines that begin in a range of bytes, or one row group."""

    path: str
    start: int
    end: int


def pieces(path: Path) -> list[Piece]:
    """Return the parts that a file is read in."""
    if path.suffix == ".parquet":
        try:
            groups = pq.ParquetFile(path).num_row_groups
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None
        return [Piece(str(path), group, group + 1) for group in range(groups)]
    size = path.stat().st_size
    if path.suffix == ".gz":
        return [Piece(str(path), 0, size)]
    return [Piece(str(path), start, min(start + _PIECE_BYTES, size)) for start in range(0, size, _PIECE_BYTES)]


def read_piece(
    piece: Piece, schema: pa.Schema, fields: Mapping[str, str], optional: Sequence[str] = ()
) -> tuple[pa.Table, list[BadRow]]:
    """Return the records of a piece, and the lines that are malformed.

    Args:
      piece: of a file of JSON lines or a Parquet file.
      schema: columns wanted: text, seconds (int64) or lists of text. Whole numbers are taken for text.
      fields: name in the file by column.
      optional: columns whose field may be absent; they are then empty lists.

    Raises:
      DataError: the file is cut short, a column or a value of a Parquet file is missing, or thousands of lines are
        malformed.
    """
    if piece.path.endswith(".parquet"):
        return _parquet(piece, schema, fields, optional), []
    content, first_byte = _content(piece)
    table = _fast(content, schema, fields, optional)
    return (table, []) if table is not None else _careful(content, first_byte, piece, schema, fields, optional)


def _content(piece: Piece) -> tuple[bytes, int]:
    """Return the lines that begin in the piece, and where in the file they begin."""
    if piece.path.endswith(".gz"):
        try:
            return gzip.decompress(Path(piece.path).read_bytes()), 0
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{piece.path}: is not a whole gzip file ({error}). Transfer it again") from None
    with open(piece.path, "rb") as file:
        if piece.start:
            file.seek(piece.start - 1)
            file.readline()  # the end of a line that begins in the piece before
        start = file.tell()
        content = file.read(max(piece.end - start, 0))
        return content + (file.readline() if content and not content.endswith(b"\n") else b""), start


def _fast(content: bytes, schema: pa.Schema, fields: Mapping[str, str], optional: Sequence[str]) -> pa.Table | None:
    """Return the records of well-formed lines; None where a line needs a closer look."""
    if not content.strip():
        return schema.empty_table()
    asked = pa.schema([(fields[name], kind) for name, kind in zip(schema.names, schema.types, strict=True)])
    try:
        table = pa_json.read_json(
            pa.BufferReader(content),
            pa_json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            pa_json.ParseOptions(explicit_schema=asked, unexpected_field_behavior="ignore"),
        )
        table.validate(full=True)  # the parser lets broken UTF-8 through
    except pa.ArrowInvalid:
        return None
    table = table.select(asked.names).rename_columns(schema.names)
    return _filled(table, optional) if _is_whole(table, optional) else None


def _is_whole(table: pa.Table, optional: Sequence[str]) -> bool:
    """Return whether nothing is missing and every time is in seconds."""
    for name in table.column_names:
        values = table[name]
        if values.null_count and name not in optional:
            return False
        if pa.types.is_list(values.type):
            flat = pc.list_flatten(values)
            if flat.null_count or pc.any(pc.equal(flat, "")).as_py():
                return False
        elif pa.types.is_string(values.type):
            if pc.any(pc.equal(values, "")).as_py():
                return False
        elif not pc.all(pc.and_(pc.greater_equal(values, 0), pc.less(values, _MAX_SECONDS))).as_py():
            return False
    return True


def _filled(table: pa.Table, optional: Sequence[str]) -> pa.Table:
    for name in optional:
        values = pc.coalesce(table[name], pa.scalar([], table[name].type))
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _careful(
    content: bytes, first_byte: int, piece: Piece, schema: pa.Schema, fields: Mapping[str, str], optional: Sequence[str]
) -> tuple[pa.Table, list[BadRow]]:
    """Return the records, line by line, and the damaged lines with their numbers."""
    records: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    for number, line in enumerate(content.split(b"\n")):
        if not line.strip():
            continue
        try:
            records.append(_record(line, schema, fields, optional))
        except ValueError as problem:
            bad.append(BadRow(piece.path, number + 1, str(problem)))
            if len(bad) > _MAX_BAD_A_PIECE:
                break
    before = num_lines(piece.path, first_byte) if bad else 0
    numbered = [dataclasses.replace(row, line=row.line + before) for row in bad]
    if len(numbered) > _MAX_BAD_A_PIECE:
        raise DataError(f"{piece.path}, {numbered[0]}. More than {_MAX_BAD_A_PIECE} lines are like it. Repair them")
    return pa.Table.from_pylist(records, schema), numbered


def _record(line: bytes, schema: pa.Schema, fields: Mapping[str, str], optional: Sequence[str]) -> dict[str, Any]:
    """Return a line's values by column.

    Raises:
      ValueError: what is wrong with it.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error}). Expected one object a line") from None
    if not isinstance(record, dict):
        raise ValueError(f"holds {type(record).__name__}. Expected one object a line")
    values = {}
    for name, kind in zip(schema.names, schema.types, strict=True):
        value = record.get(fields[name])
        if pa.types.is_list(kind):
            value = [] if value is None and name in optional else value
            ids = [_id(part) for part in value] if isinstance(value, list) else [None]
            found: Any = None if None in ids else ids
            expected = "a list of ids"
        elif pa.types.is_string(kind):
            found, expected = _id(value), "an id, text or a whole number"
        else:
            is_time = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_SECONDS
            found, expected = value if is_time else None, "whole seconds since 1970"
        if found is None:
            raise ValueError(f"{fields[name]} should be {expected}. Received: {shown(value)}")
        values[name] = found
    return values


def _id(value: Any) -> str | None:
    """Return an id as text; None for anything that is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _parquet(piece: Piece, schema: pa.Schema, fields: Mapping[str, str], optional: Sequence[str]) -> pa.Table:
    try:
        table = pq.ParquetFile(piece.path).read_row_group(piece.start)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(Path(piece.path), error) from None
    records = Records(f"{piece.path}, row group {piece.start + 1}", table)
    needed = [fields[name] for name in schema.names if name not in optional]
    records.require(needed, "Change the mapping under data.source.page_columns or click_columns")
    columns = {}
    for name, kind in zip(schema.names, schema.types, strict=True):
        if fields[name] not in table.column_names:
            columns[name] = pa.chunked_array([pa.nulls(table.num_rows, kind)])
        elif pa.types.is_temporal(table[fields[name]].type):
            columns[name] = as_seconds(table[fields[name]])
        else:
            columns[name] = pc.cast(table[fields[name]], kind)
    found = pa.table(columns, schema)
    if not _is_whole(found, optional):
        raise DataError(
            f"{records.path}: an id, a list or a time is missing, or a time is not in seconds since 1970. "
            "Repair or remove the rows"
        )
    return _filled(found, optional)


def set_aside(rows: Sequence[BadRow], quarantine: Quarantine) -> None:
    """Put the malformed lines of any files into the quarantine.

    Raises:
      DataError: a file holds too many of them.
    """
    for file in sorted({row.file for row in rows}):
        of_file = sorted((row for row in rows if row.file == file), key=lambda row: row.line)
        quarantine.put(of_file, max(num_lines(file), len(of_file)))


def num_lines(path: str, end: int | None = None) -> int:
    """Return how many line breaks a file holds, before the byte `end` where it is given."""
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        left = sys.maxsize if end is None else end
        blocks = iter(lambda: file.read(min(1 << 20, max(left - file.tell(), 0))), b"")
        return sum(block.count(b"\n") for block in blocks)


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()[-1]
    return DataError(f"{path}: cannot be read as Parquet ({reason}). Write or transfer it again")
