"""From the raw values of a column to the names of the slices that a row belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

OVERALL = "overall"
MISSING = "missing"
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BUCKET = re.compile(rf"<(?P<below>{_NUMBER})|>=(?P<from>{_NUMBER})|(?P<low>{_NUMBER})-(?P<high>{_NUMBER})")


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


def slice_values(values: Sequence[bytes | int | float] | None, buckets: Sequence[Bucket] = ()) -> list[str]:
    """Return the slices of one column that a row belongs to.

    A row with several values (genres) belongs to the slice of each; a row without a value, or with one that is not a
    number where numbers are cut into buckets, belongs to the slice `missing`.

    Args:
      values: the raw feature of the row; None or empty where it is absent.
      buckets: intervals to cut numbers into; empty: each value is its own slice.

    Example:
      >>> slice_values([b"Comedy", b"Drama"]), slice_values(None)
      (['Comedy', 'Drama'], ['missing'])
      >>> slice_values([12], [Bucket.parse("<10"), Bucket.parse(">=10")])
      ['>=10']
    """
    if not buckets:
        return sorted({_text(value) for value in values or ()}) or [MISSING]
    numbers = [value for value in values or () if not isinstance(value, bytes)]
    return [b.name for b in buckets if any(b.holds(number) for number in numbers)] or [MISSING]


def _text(value: bytes | int | float) -> str:
    """Write a value as one reads it: no `b''`, no `.0`, no rounding."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
