"""What was known before each event: histories, counts and means, from strictly earlier events only.

All functions are vectorised and cost a sort, `n log n`, in the number of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Ties = Literal["strict", "file_order"]
_STEPS = 2**24
Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Past:
    """For each event, which earlier events its group (a user, an item) has.

    Attributes:
      order: `(n,)` event numbers, sorted by group, time and position in the file.
      first: `(n,)` for each place in `order`, the place of its group's first event.
      end: `(n,)` for each place in `order`, the place after the last strictly earlier event of its group.
    """

    order: Ints
    first: Ints
    end: Ints

    @property
    def counts(self) -> Ints:
        """Number of strictly earlier events, in file order."""
        return self._unsorted(self.end - self.first)

    def means(self, values: Floats) -> Floats:
        """Mean of `values` over strictly earlier events, in file order; NaN where there is none.

        Sums are kept in whole steps of 2**-24: a running sum of floats would carry rounding from one group, and so from
        its future, into the next. Integers wrap around without harm, because only differences are used; within one
        group the absolute values must add up to less than 2**39.
        """
        steps = np.rint(values[self.order] * _STEPS).astype(np.int64)
        sums = np.concatenate([[0], np.cumsum(steps)])
        counts = self.end - self.first
        with np.errstate(invalid="ignore"):
            return self._unsorted((sums[self.end] - sums[self.first]) / _STEPS / np.where(counts > 0, counts, np.nan))

    def last(self, values: Ints) -> Floats:
        """Value of the latest strictly earlier event, in file order; NaN where there is none."""
        found = values[self.order][np.maximum(self.end - 1, 0)].astype(np.float64)
        return self._unsorted(np.where(self.end > self.first, found, np.nan))

    def windows(self, events: Ints, length: int, inclusive: bool = False) -> tuple[Ints, Ints]:
        """Return the newest `length` earlier events of each of `events`, oldest first; `inclusive`: with itself.

        Returns:
          offsets `(len(events) + 1,)` and event numbers `(offsets[-1],)`.
        """
        place = np.empty_like(self.order)
        place[self.order] = np.arange(len(self.order))
        ends = place[events] + 1 if inclusive else self.end[place[events]]
        starts = np.maximum(self.first[place[events]], ends - length)
        lengths = ends - starts
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return offsets, self.order[places]

    def _unsorted(self, values: NDArray[Number]) -> NDArray[Number]:
        """Return values given place by place in file order."""
        result = np.empty_like(values)
        result[self.order] = values
        return result


def past(group: Ints, time: Ints, ties: Ties) -> Past:
    """Return the past of every event within its group.

    Args:
      group: `(n,)` user or item number of each event, in file order.
      time: `(n,)` seconds.
      ties: `strict`: events of the same second are not earlier; `file_order`: the one that stands first is.
    """
    number = np.arange(len(group))
    order = np.lexsort((number, time, group))
    new_group = np.ones(len(group), bool)
    new_group[1:] = group[order][1:] != group[order][:-1]
    first = np.maximum.accumulate(np.where(new_group, number, 0))
    if ties == "file_order":
        return Past(order, first, number)
    new_time = new_group.copy()
    new_time[1:] |= time[order][1:] != time[order][:-1]
    return Past(order, first, np.maximum.accumulate(np.where(new_time, number, 0)))
