"""Delimited text, read strictly: whatever is damaged is named with file, line, what was found and what to do."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from settings.errors import DataError

_UNIT_SEPARATOR = "\x1f"


def read_bytes(path: Path) -> bytes:
    """Return a file's content, unpacked where it ends in .gz; an empty or unreadable one is refused."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist. Check data.source.path, or give --data-path") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is not a whole gzip file ({error}). Transfer it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not content.strip():
        raise DataError(f"{path}: is empty. Expected at least one row")
    return content


def read_delimited(
    path: Path, separator: str = ",", names: list[str] | None = None, encoding: str = "utf-8", quoted: bool = True
) -> pa.Table:
    """Return a delimited file with every column as strings; empty fields are null.

    Args:
      path: the file, possibly gzipped.
      separator: one character, or several (`::`).
      names: column names; None: the first line holds them.
      encoding: of the text.
      quoted: whether double quotes enclose fields.

    Raises:
      DataError: naming the file and, where it is a row's fault, the line.
    """
    content = read_bytes(path)
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = content[error.start : error.start + 1].hex()
        raise DataError(f"{path}, line {line}: is not UTF-8 (byte 0x{found}). Save the file as UTF-8") from None
    if len(separator) > 1:
        text, separator = text.replace(separator, _UNIT_SEPARATOR), _UNIT_SEPARATOR
    ragged: list[tuple[int | None, int]] = []

    def note(row: pa_csv.InvalidRow) -> str:
        ragged.append((row.number, row.actual_columns))
        return "skip"

    header = names or next(iter(text.splitlines())).split(separator)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text.encode()),
            read_options=pa_csv.ReadOptions(use_threads=False, column_names=names, block_size=max(len(text), 1 << 20)),
            parse_options=pa_csv.ParseOptions(
                delimiter=separator, quote_char='"' if quoted else False, invalid_row_handler=note
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={name.strip('"'): pa.string() for name in header},
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: cannot be read as delimited text ({error})") from None
    if ragged:
        number, width = ragged[0]
        place = f"{path}, line {number}" if number is not None else str(path)
        raise DataError(
            f"{place}: has {width} fields, expected {table.num_columns}. Rows like it: {len(ragged)}. "
            "Repair or remove them"
        )
    if table.num_rows == 0:
        raise DataError(f"{path}: holds a header and no row. Expected at least one row")
    return table


def numbers(path: Path, table: pa.Table, column: str, kind: pa.DataType, first_line: int) -> pa.ChunkedArray:
    """Return a column as finite numbers.

    Args:
      path: where the table was read from.
      table: holds `column`, as strings or numbers.
      column: its name.
      kind: the Arrow type to return.
      first_line: line of the table's first row in the file.

    Raises:
      DataError: naming the first line that holds no such number.
    """
    values = table[column]
    try:
        result = pc.cast(values, kind)
        if pc.all(_usable(result)).as_py():
            return result
    except pa.ArrowInvalid:
        pass
    row, value = next((row, value) for row, value in enumerate(values.to_pylist()) if not _is_number(value, kind))
    expected = "a whole number" if pa.types.is_integer(kind) else "a number"
    raise DataError(
        f"{path}, line {row + first_line}: {column} should be {expected}. Received: {value!r}. Repair or remove the row"
    )


def _usable(numbers: pa.ChunkedArray | pa.Scalar) -> pa.ChunkedArray | pa.Scalar:
    """Return where numbers are present and finite."""
    finite = pc.is_finite(numbers) if pa.types.is_floating(numbers.type) else pc.is_valid(numbers)
    return pc.fill_null(finite, False)


def _is_number(value: object, kind: pa.DataType) -> bool:
    try:
        return bool(_usable(pc.cast(pa.scalar(value), kind)).as_py())
    except pa.ArrowInvalid:
        return False
