"""What was known before each event: histories, counts and means, from strictly earlier events only.

All functions are vectorised and cost a sort, `n log n`, in the number of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Ties = Literal["strict", "file_order"]
_STEPS = 2**24


@dataclass(frozen=True)
class Past:
    """For each event, which earlier events its group (a user, an item) has.

    Attributes:
      order: `(num_counted,)` the counted events' numbers, sorted by group, time and position in the file.
      first: `(n,)` for each event, the place in `order` of its group's first event.
      end: `(n,)` for each event, the place after the last strictly earlier event of its group.
      after: `(n,)` for each event, the place after the last event of its group that does not stand behind it; itself
        included, where it counts.
    """

    order: Ints
    first: Ints
    end: Ints
    after: Ints

    @property
    def counts(self) -> Ints:
        """Number of strictly earlier events, in file order."""
        return self.end - self.first

    def means(self, values: Floats) -> Floats:
        """Mean of `values` over strictly earlier events, in file order; NaN where there is none.

        Sums are kept in whole steps of 2**-24: a running sum of floats would carry rounding from one group, and so from
        its future, into the next. Integers wrap around without harm, because only differences are used; within one
        group the absolute values must add up to less than 2**39.
        """
        steps = np.rint(values[self.order] * _STEPS).astype(np.int64)
        sums = np.concatenate([[0], np.cumsum(steps)])
        with np.errstate(invalid="ignore"):
            return (sums[self.end] - sums[self.first]) / _STEPS / np.where(self.counts > 0, self.counts, np.nan)

    def last(self, values: Ints) -> Floats:
        """Value of the latest strictly earlier event, in file order; NaN where there is none."""
        found = np.concatenate([[np.nan], values[self.order].astype(np.float64)])[self.end]
        return np.where(self.end > self.first, found, np.nan)

    def windows(self, events: Ints, length: int, inclusive: bool = False) -> tuple[Ints, Ints]:
        """Return the newest `length` earlier events of each of `events`, oldest first; `inclusive`: with itself.

        Returns:
          offsets `(len(events) + 1,)` and event numbers `(offsets[-1],)`.
        """
        ends = self.after[events] if inclusive else self.end[events]
        starts = np.maximum(self.first[events], ends - length)
        lengths = ends - starts
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return offsets, self.order[places]


def past(group: Ints, time: Ints, ties: Ties, counted: NDArray[np.bool_] | None = None) -> Past:
    """Return the past of every event within its group.

    Args:
      group: `(n,)` user or item number of each event, in file order.
      time: `(n,)` seconds.
      ties: `strict`: events of the same second are not earlier; `file_order`: the one that stands first is.
      counted: `(n,)`, False for events that have a past and are nobody's; None: all are counted.
    """
    number = np.arange(len(group))
    order = np.lexsort((number, time, group))
    new_group = np.ones(len(group), bool)
    new_group[1:] = group[order][1:] != group[order][:-1]
    first, end = np.maximum.accumulate(np.where(new_group, number, 0)), number
    if ties == "strict":
        new_time = new_group.copy()
        new_time[1:] |= time[order][1:] != time[order][:-1]
        end = np.maximum.accumulate(np.where(new_time, number, 0))
    kept = np.ones(len(group), bool) if counted is None else counted[order]
    before = np.concatenate([[0], np.cumsum(kept)])
    places = np.empty((3, len(group)), np.int64)
    places[:, order] = before[[first, end, number + 1]]
    return Past(order[kept], *places)
