"""From the raw values of a column to the names of the slices that a row belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

OVERALL = "overall"
MISSING = "missing"
OTHER = "other"
# A column that is made from the timestamp.
HOUR_OF_DAY = "hour_of_day"
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BUCKET = re.compile(rf"<(?P<below>{_NUMBER})|>=(?P<from>{_NUMBER})|(?P<low>{_NUMBER})-(?P<high>{_NUMBER})")
_COLUMN = re.compile(r"(?:^|,)([^,=]+)=")


class Bucket(NamedTuple):
    """A half-open interval `[low, high)` of numbers and its name."""

    name: str
    low: float
    high: float

    @classmethod
    def parse(cls, name: str) -> Bucket:
        """Return the bucket of a name.

        Raises:
          ValueError: the name is not one that `bucket_names` gives.

        Example:
          >>> Bucket.parse("10-50")
          Bucket(name='10-50', low=10.0, high=50.0)
        """
        match = _BUCKET.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is not the name of a bucket. Expected <a, a-b or >=b")
        below, start, low, high = match.group("below", "from", "low", "high")
        return cls(name, float(start or low or "-inf"), float(below or high or "inf"))

    def holds(self, value: float) -> bool:
        """Return whether the value lies in the bucket."""
        return self.low <= value < self.high


def features_of(name: str) -> tuple[str, ...]:
    """Return the columns that a slice is made of; several for a cross, none for the overall slice.

    Example:
      >>> features_of("overall"), features_of("age=>=50"), features_of("age=<25,gender=F")
      ((), ('age',), ('age', 'gender'))
    """
    return tuple(_COLUMN.findall(name))


def bucket_names(boundaries: Iterable[float]) -> list[str]:
    """Return the names of the buckets between boundaries, ascending.

    Example:
      >>> bucket_names([50, 10])
      ['<10', '10-50', '>=50']
      >>> bucket_names([2.5])
      ['<2.5', '>=2.5']
    """
    ordered = [_text(boundary) for boundary in sorted(set(boundaries))]
    return [f"<{ordered[0]}", *(f"{low}-{high}" for low, high in pairwise(ordered)), f">={ordered[-1]}"]


def quantile_boundaries(numbers: Iterable[float], num_buckets: int) -> list[float]:
    """Return where to cut numbers into buckets of about equal size, to four digits; fewer where values repeat.

    Example:
      >>> quantile_boundaries(range(100), 4), quantile_boundaries([7, 7, 7], 4)
      ([24.75, 49.5, 74.25], [])
    """
    values = np.asarray(list(numbers), np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return []
    cuts = np.quantile(values, np.arange(1, num_buckets) / num_buckets)
    rounded = {float(f"{cut:.4g}") for cut in cuts}
    # A cut at or below the lowest value leaves an empty bucket before it.
    return sorted(cut for cut in rounded if cut > values.min())


def kept_values(cells: Iterable[Sequence[bytes | int | float] | None], max_values: int) -> list[str] | None:
    """Return the values of the most rows, where a column has more than `max_values`; None where all are kept.

    Of values with equally many rows the first by its text is kept.

    Example:
      >>> cells = [[b"a"], [b"b", b"c"], [b"c"], None]
      >>> kept_values(cells, 2), kept_values(cells, 3)
      (['c', 'a'], None)
    """
    counts = Counter(value for cell in cells for value in slice_values(cell))
    counts.pop(MISSING, None)
    if len(counts) <= max_values:
        return None
    return sorted(counts, key=lambda value: (-counts[value], value))[:max_values]


def slice_values(
    values: Sequence[bytes | int | float] | None, buckets: Sequence[Bucket] = (), kept: Container[str] | None = None
) -> list[str]:
    """Return the slices of one column that a row belongs to.

    A row with several values (genres) belongs to the slice of each; a row without a value, or with one that is not a
    number where numbers are cut into buckets, belongs to the slice `missing`.

    Args:
      values: the raw feature of the row; None or empty where it is absent.
      buckets: intervals to cut numbers into; empty: each value is its own slice.
      kept: values that are slices of their own, all others being `other`; None: all are.

    Example:
      >>> slice_values([b"Comedy", b"Drama"]), slice_values(None)
      (['Comedy', 'Drama'], ['missing'])
      >>> slice_values([12], [Bucket.parse("<10"), Bucket.parse(">=10")])
      ['>=10']
      >>> slice_values([b"Comedy", b"Drama"], kept={"Drama"})
      ['Drama', 'other']
    """
    if not buckets:
        names = {_text(value) for value in values or ()}
        return sorted(names if kept is None else {name if name in kept else OTHER for name in names}) or [MISSING]
    numbers = [value for value in values or () if not isinstance(value, bytes)]
    return [b.name for b in buckets if any(b.holds(number) for number in numbers)] or [MISSING]


def hours_of_day(timestamps: Iterable[Sequence[int] | None]) -> list[list[bytes | int | float] | None]:
    """Return the UTC hour of each row's timestamp, in the form of a raw column.

    Example:
      >>> hours_of_day([[0], [3600 * 25], None])
      [[0], [1], None]
    """
    return [[int(cell[0]) // 3600 % 24] if cell else None for cell in timestamps]


def _text(value: bytes | int | float) -> str:
    """Write a value as one reads it: no `b''`, no `.0`, no rounding."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
