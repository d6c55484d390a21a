"""Delimited text, read strictly: whatever is damaged is named with file, line, what was found and what to do."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from datasets.quarantine import BadRow, Quarantine
from datasets.records import Records
from datasets.records import text as as_text
from settings.errors import DataError

_UNIT_SEPARATOR = b"\x1f"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BLOCK_BYTES = 1 << 28


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
        raise DataError(f"{path}: cannot be read ({error.strerror}). Expected a readable file") from None
    if not content.strip():
        raise DataError(f"{path}: is empty. Expected at least one row")
    if content.startswith(_UTF_16_MARKS):
        raise DataError(f"{path}: is UTF-16. Save the file as UTF-8")
    return content


def read_delimited(
    path: Path,
    separator: str = ",",
    names: list[str] | None = None,
    encoding: str = "utf-8",
    quoted: bool = True,
    quarantine: Quarantine | None = None,
) -> Records:
    """Return a delimited file with every column as strings; empty fields are null.

    Rows with too few or too many fields, with bytes that are no UTF-8 and with NUL bytes are left out.

    Args:
      path: the file, possibly gzipped.
      separator: one character, or several (`::`).
      names: column names; None: the first line holds them.
      encoding: of the text.
      quoted: whether double quotes enclose fields.
      quarantine: where malformed rows go.

    Raises:
      DataError: naming the file and, where it is a row's fault, the line.
    """
    text = _Text(path, separator, encoding, quoted)
    content = text.content()
    header = names or text.header(content)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}, line {text.lines([0])[0]}: names column {repeated[0]!r} more than once. Rename one of them"
        )
    ragged: list[pa_csv.InvalidRow] = []

    def note(row: pa_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(
                use_threads=False,  # or rows lose their numbers
                column_names=names,
                block_size=min(max(len(content), 1 << 20), _BLOCK_BYTES),
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=text.delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                invalid_row_handler=note,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.binary()),  # a string column would refuse the whole file
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: cannot be read as delimited text ({error}). Is it another format?") from None
    num_read = table.num_rows + len(ragged)
    if num_read == 0:
        raise DataError(f"{path}: holds a header and no row. Expected at least one row")
    num_header_records = 0 if names else 1
    skipped = np.array([row.number - 1 - num_header_records for row in ragged], np.int64)
    quarantine = quarantine or Quarantine()
    lines_of: Callable[[Sequence[int]], list[int]] = lambda rows: text.lines([row + num_header_records for row in rows])  # noqa: E731
    shown = ragged[: quarantine.allowed(num_read) + 1]
    bad = [
        BadRow(
            str(path),
            line,
            f"has {row.actual_columns} fields, expected {row.expected_columns}",
            1 + (row.text or "").rstrip("\r\n").count("\n"),
        )
        for row, line in zip(shown, lines_of(skipped[: len(shown)].tolist()), strict=True)
    ]
    quarantine.put(bad, num_read)
    numbers = np.delete(np.arange(num_read), skipped)
    records = Records(str(path), table, lines_of, quarantine, numbers, num_read)
    return records.typed(*(as_text(name) for name in table.column_names))


@dataclass(frozen=True)
class _Text:
    """How a file is written; read again, rather than kept, when a damaged row's line is asked for."""

    path: Path
    separator: str
    encoding: str
    quoted: bool

    @property
    def delimiter(self) -> str:
        return self.separator if len(self.separator) == 1 else _UNIT_SEPARATOR.decode()

    def content(self) -> bytes:
        """Return the text as UTF-8, where it is sound, with one character between fields."""
        content = read_bytes(self.path)
        if self.encoding != "utf-8":
            content = content.decode(self.encoding).encode()
        content = content.removeprefix(_BYTE_ORDER_MARK)
        if len(self.separator) > 1:
            content = content.replace(self.separator.encode(), _UNIT_SEPARATOR)
        return content

    def header(self, content: bytes) -> list[str]:
        """Return the fields of the first line that is not blank."""
        line = content.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r").decode(errors="replace")
        if not self.quoted:
            return line.split(self.delimiter)
        return next(csv.reader([line], delimiter=self.delimiter))

    def lines(self, records: Sequence[int]) -> list[int]:
        """Return the lines, counted from 1, on which records start, given ascending.

        The header is a record, a blank line is none.
        """
        if not records:
            return []
        wanted, starts = set(records), itertools.islice(self._starts(), records[-1] + 1)
        return [line for number, line in enumerate(starts) if number in wanted]

    def _starts(self) -> Iterator[int]:
        lines = io.StringIO(self.content().decode(errors="replace"), newline="")
        if not self.quoted:
            yield from (number for number, line in enumerate(lines, 1) if line.strip("\r\n"))
            return
        limit = csv.field_size_limit(sys.maxsize)
        try:
            reader, start = csv.reader(lines, delimiter=self.delimiter), 1
            for record in reader:
                if record:
                    yield start
                start = reader.line_num + 1
        finally:
            csv.field_size_limit(limit)
