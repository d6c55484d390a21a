"""Rows as they were read, and where each stands in its file: what a reader checks before it trusts a column."""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.quarantine import BadRow, Quarantine, shown
from settings.errors import DataError

Convert = Callable[[pa.ChunkedArray], pa.ChunkedArray]
# What Arrow raises for a value, and for a whole type, that cannot be converted.
_REFUSED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
# Longer ids are damage; each stands in many histories.
MAX_ID_BYTES = 1000
_WHOLE_NUMBER = r"^[+-]?\d+$"
_MIN_SHARE_OF_WHOLE_NUMBERS = 0.9
_DAY_SECONDS = 86_400
_FINER_UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


@dataclass(frozen=True)
class Column:
    """A column and what its values have to be.

    Attributes:
      name: of the column.
      convert: to the type that is wanted; may raise what Arrow raises.
      usable: of converted values, True where one may be used.
      reason: of a value that may not, why: what was expected and what was received.
    """

    name: str
    convert: Convert
    usable: Convert
    reason: Callable[[object], str]

    def bad_rows(self, values: pa.ChunkedArray) -> Iterator[int]:
        """Yield the rows, ascending, whose value may not be used."""
        return bad_rows(values, lambda part: self.usable(self.convert(part)))


@dataclass(frozen=True)
class Records:
    """A table and the file it came from.

    Attributes:
      path: the file, in words for messages.
      table: one row a record; empty fields of text files are null.
      lines_of: gives the lines, counted from 1, of records, counted from 0 and ascending; None where the file has no
        lines (Parquet): then they are rows. Called only for damaged rows, so it may be slow.
      quarantine: where malformed rows go.
      numbers: `(num_rows,)` the record that each row is; None: they are all there.
      num_read: records of the file, the malformed ones included; 0: as many as there are rows.
    """

    path: str
    table: pa.Table
    lines_of: Callable[[Sequence[int]], list[int]] | None = None
    quarantine: Quarantine = field(default_factory=Quarantine)
    numbers: np.ndarray | None = None
    num_read: int = 0

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

    def renamed(self, names: Sequence[str]) -> Records:
        """Return the same rows with other column names."""
        return self._with(self.table.rename_columns(list(names)), self.numbers)

    def typed(self, *columns: Column) -> Records:
        """Return the rows without the malformed ones, which go to the quarantine, and with these columns converted.

        Raises:
          DataError: too many rows are malformed, or all of them.
        """
        num_read = self.num_read or self.table.num_rows
        reasons: dict[int, str] = {}
        for column in columns:
            values = self.table[column.name]
            for row in itertools.islice(column.bad_rows(values), self.quarantine.allowed(num_read) + 1):
                reasons.setdefault(row, f"{column.name} {column.reason(values[row].as_py())}")
        numbers = np.arange(self.table.num_rows) if self.numbers is None else self.numbers
        bad = sorted(reasons)
        places = [int(numbers[row]) for row in bad]
        lines = [place + 1 for place in places] if self.lines_of is None else self.lines_of(places)
        unit: Literal["line", "row"] = "row" if self.lines_of is None else "line"
        found = [
            BadRow(self.path, line, reasons[row], _num_lines(self.table, row), unit)
            for row, line in zip(bad, lines, strict=True)
        ]
        self.quarantine.put(found, num_read)
        keep = np.ones(self.table.num_rows, bool)
        keep[bad] = False
        if not keep.any():
            raise DataError(f"{self.path}: holds no usable row: {found[0].reason}")
        table = self.table.filter(pa.array(keep)) if bad else self.table
        for column in columns:
            place = table.column_names.index(column.name)
            table = table.set_column(place, column.name, column.convert(table[column.name]))
        return self._with(table, numbers[keep])

    def _with(self, table: pa.Table, numbers: np.ndarray | None) -> Records:
        num_read = self.num_read or self.table.num_rows
        return Records(self.path, table, self.lines_of, self.quarantine, numbers, num_read)

    def ids(self, name: str, kind: Literal["auto", "whole_number", "text"] = "text") -> Column:
        """Return a column of ids: strings, none empty, longer than `MAX_ID_BYTES` or with a line break.

        Args:
          name: of the column.
          kind: `whole_number`: every id is one, of any size; `auto`: so where nine in ten are.
        """
        values = self.table[name]

        def convert(part: pa.ChunkedArray) -> pa.ChunkedArray:
            # Whole numbers with gaps come as floats: 7.0 is the id 7.
            return pc.cast(pc.cast(part, pa.int64()) if pa.types.is_floating(part.type) else part, pa.string())

        is_number = kind == "whole_number" or (kind == "auto" and _are_mostly_numbers(values))

        def usable(ids: pa.ChunkedArray) -> pa.ChunkedArray:
            size = pc.binary_length(ids)
            good = pc.and_(pc.and_(pc.greater(size, 0), pc.less_equal(size, MAX_ID_BYTES)), _is_one_line(ids))
            return pc.and_(good, pc.match_substring_regex(ids, _WHOLE_NUMBER)) if is_number else good

        def reason(value: object) -> str:
            expected = "hold an id, text or a whole number"
            if isinstance(value, str) and len(value.encode()) > MAX_ID_BYTES:
                expected = f"be at most {MAX_ID_BYTES:,} bytes long"
            elif isinstance(value, str) and "\n" in value:
                expected = "hold no line break; a quote may not be closed"
            elif is_number and value not in (None, ""):
                expected = "be a whole number" + (" as most of its column are" if kind == "auto" else "")
            return f"should {expected}. Received: {shown(value)}"

        return Column(name, convert, usable, reason)

    def seconds(self, name: str) -> Column:
        """Return a column of int64 seconds since 1970; date and time types of any resolution are converted.

        Moments before `data.bad_rows.earliest` and later than a day from now may not be used.
        """
        is_time = pa.types.is_temporal(self.table[name].type)
        earliest = self.quarantine.rules.earliest
        low = int(datetime.datetime(*earliest.timetuple()[:3], tzinfo=datetime.UTC).timestamp())
        high = int(time.time()) + _DAY_SECONDS

        def usable(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
            return pc.and_(pc.greater_equal(seconds, low), pc.less_equal(seconds, high))

        def reason(value: object) -> str:
            if is_time or value is None:
                seconds = None if value is None else as_seconds(pa.chunked_array([pa.array([value])])).to_pylist()[0]
                kind = "a time" if is_time else "a whole number"
            else:
                seconds = _whole(value)
                kind = "a whole number"
            if seconds is None:
                return f"should be {kind}. Received: {shown(value)}"
            unit = next((unit for unit, parts in _FINER_UNITS.items() if low <= seconds // parts <= high), None)
            if seconds > high and unit and not is_time:
                return f"should be seconds since 1970. Received: {seconds}, which looks like {unit}"
            if seconds > high:
                return f"should not lie in the future. Received: {seconds}{_moment(seconds)}"
            return f"should not lie before {earliest} (data.bad_rows.earliest). Received: {seconds}{_moment(seconds)}"

        return Column(name, as_seconds if is_time else lambda part: pc.cast(part, pa.int64()), usable, reason)


def number(name: str, kind: pa.DataType) -> Column:
    """Return a column of finite numbers of an Arrow type."""
    usable = pc.is_finite if pa.types.is_floating(kind) else pc.is_valid
    expected = "a whole number" if pa.types.is_integer(kind) else "a number"
    return Column(
        name, lambda part: pc.cast(part, kind), usable, lambda value: f"should be {expected}. Received: {shown(value)}"
    )


def optional_number(name: str, kind: pa.DataType) -> Column:
    """Return a column of numbers of an Arrow type that may be missing."""
    needed = number(name, kind)
    return Column(name, needed.convert, lambda part: pc.or_kleene(pc.is_null(part), needed.usable(part)), needed.reason)


def text(name: str) -> Column:
    """Return a column of texts from bytes: UTF-8 without NUL; they may be missing."""

    def usable(values: pa.ChunkedArray) -> pa.ChunkedArray:
        return pc.fill_null(pc.invert(pc.match_substring(values, "\0")), True)

    def reason(value: object) -> str:
        if isinstance(value, bytes):
            try:
                value.decode()
            except UnicodeDecodeError as error:
                return f"is not UTF-8 (byte 0x{value[error.start]:02x}). Received: {shown(value)}"
        return f"should hold no NUL byte. Received: {shown(value)}"

    return Column(name, lambda part: pc.cast(part, pa.string()), usable, reason)


def bad_rows(values: pa.ChunkedArray, good: Convert, start: int = 0) -> Iterator[int]:
    """Yield the rows, ascending, that are not good, halving where Arrow refuses: no loop over good rows.

    >>> is_small = lambda values: pc.less(pc.cast(values, pa.int64()), 5)
    >>> list(bad_rows(pa.chunked_array([["2", "x", "4"], ["6", None]]), is_small))
    [1, 3, 4]
    """
    try:
        mask = pc.fill_null(good(values), False).to_numpy()
    except _REFUSED:
        if len(values) == 1:
            yield start
            return
        middle = len(values) // 2
        yield from bad_rows(values.slice(0, middle), good, start)
        yield from bad_rows(values.slice(middle), good, start + middle)
    else:
        yield from (int(row) + start for row in np.flatnonzero(~mask))


def as_seconds(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates or times of any resolution as int64 seconds since 1970.

    >>> from datetime import date
    >>> as_seconds(pa.chunked_array([[date(1970, 1, 2)]])).to_pylist()
    [86400]
    """
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    return pc.cast(pc.cast(values, pa.timestamp("s", zone), safe=False), pa.int64())


def _are_mostly_numbers(values: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)) or not len(values):
        return False
    return bool(
        pc.mean(pc.fill_null(pc.match_substring_regex(values, _WHOLE_NUMBER), True)).as_py()
        >= _MIN_SHARE_OF_WHOLE_NUMBERS
    )


def _is_one_line(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.match_substring(values, "\n"))


def _num_lines(table: pa.Table, row: int) -> int:
    """Return how many lines a row takes up."""
    values = (table[name][row].as_py() for name in table.column_names)
    breaks = (
        value.count("\n") if isinstance(value, str) else value.count(b"\n")
        for value in values
        if isinstance(value, str | bytes)
    )
    return 1 + sum(breaks)


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _moment(seconds: int) -> str:
    try:
        return f" ({datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S})"
    except (ValueError, OverflowError, OSError):
        return ""
