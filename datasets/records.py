"""Rows as they were read, and where each stands in its file: what a reader checks before it trusts a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from settings.errors import DataError

Convert = Callable[[pa.ChunkedArray], pa.ChunkedArray]
# What Arrow raises for a value, and for a whole type, that cannot be converted.
_REFUSED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)


@dataclass(frozen=True)
class Records:
    """A table and the file it came from.

    Attributes:
      path: the file, in words for messages.
      table: one row a record; empty fields of text files are null.
      line_of: gives the line of a row, counted from 1; None where the file has no lines (Parquet). Called only for
        damaged rows, so it may be slow.
    """

    path: str
    table: pa.Table
    line_of: Callable[[int], int] | None = None

    def place(self, row: int) -> str:
        """Return where a row stands, in words."""
        if self.line_of is None:
            return f"{self.path}, row {row + 1}"
        return f"{self.path}, line {self.line_of(row)}"

    def require(self, names: Iterable[str], remedy: str) -> None:
        """Refuse a file that lacks one of the columns.

        Raises:
          DataError: naming the missing ones and those found.
        """
        missing = [name for name in names if name not in self.table.column_names]
        if missing:
            raise DataError(
                f"{self.path}: has no column {', '.join(map(repr, missing))}. "
                f"Found: {', '.join(map(repr, self.table.column_names))}. {remedy}"
            )

    def ids(self, name: str) -> pa.ChunkedArray:
        """Return a column as strings, none of them empty.

        Raises:
          DataError: naming the first row without an id.
        """
        convert: Convert = lambda values: pc.cast(values, pa.string())  # noqa: E731
        return self._converted(
            name, convert, lambda ids: pc.not_equal(ids, ""), "hold an id, text or a whole number", "Give the row an id"
        )

    def numbers(self, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        """Return a column as finite numbers of an Arrow type.

        Raises:
          DataError: naming the first row that holds no such number.
        """
        usable = pc.is_finite if pa.types.is_floating(kind) else pc.is_valid
        expected = "be a whole number" if pa.types.is_integer(kind) else "be a number"
        return self._converted(name, lambda values: pc.cast(values, kind), usable, expected, "Repair or remove the row")

    def seconds(self, name: str) -> pa.ChunkedArray:
        """Return a column as int64 seconds since 1970; date and time types of any resolution are converted.

        Raises:
          DataError: naming the first row that holds no time.
        """
        kind = self.table[name].type
        if not pa.types.is_temporal(kind):
            return self.numbers(name, pa.int64())
        return self._converted(name, as_seconds, pc.is_valid, "be a time", "Repair or remove the row")

    def _converted(self, name: str, convert: Convert, usable: Convert, expected: str, remedy: str) -> pa.ChunkedArray:
        """Return a column converted, every value of it usable; the first other one is refused."""

        def is_good(values: pa.ChunkedArray) -> bool:
            try:
                return bool(pc.all(pc.fill_null(usable(convert(values)), False)).as_py())
            except _REFUSED:
                return False

        values = self.table[name]
        row = next(bad_rows(values, is_good), None)
        if row is None:
            return convert(values)
        found = str(values[row].as_py())
        found = "nothing" if values[row].as_py() is None else repr(found[:80] + "..." if len(found) > 80 else found)
        raise DataError(f"{self.place(row)}: {name} should {expected}. Received: {found}. {remedy}")


def bad_rows(values: pa.ChunkedArray, is_good: Callable[[pa.ChunkedArray], bool], start: int = 0) -> Iterator[int]:
    """Yield the rows, ascending, for which `is_good` fails, by halving: no loop over good rows.

    >>> even = lambda values: all(value.as_py() % 2 == 0 for value in values)
    >>> list(bad_rows(pa.chunked_array([[2, 3, 4], [6, 7]]), even))
    [1, 4]
    """
    if len(values) == 0 or is_good(values):
        return
    if len(values) == 1:
        yield start
        return
    middle = len(values) // 2
    yield from bad_rows(values.slice(0, middle), is_good, start)
    yield from bad_rows(values.slice(middle), is_good, start + middle)


def as_seconds(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates or times of any resolution as int64 seconds since 1970.

    >>> from datetime import date
    >>> as_seconds(pa.chunked_array([[date(1970, 1, 2)]])).to_pylist()
    [86400]
    """
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    return pc.cast(pc.cast(values, pa.timestamp("s", zone), safe=False), pa.int64())
