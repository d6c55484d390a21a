"""Which events train the model, which stop it early, and which judge it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datasets import columns as c
from settings.data import GlobalTimeline, Split
from settings.errors import DataError

Ints = NDArray[np.int64]
TRAIN, EVAL, TEST = range(len(c.EVENT_SPLITS))


def assign(user: Ints, time: Ints, split: Split) -> Ints:
    """Return the split number of each event, an index into `columns.EVENT_SPLITS`.

    Args:
      user: `(n,)` user numbers, in file order.
      time: `(n,)` seconds.
      split: `global_timeline`: two moments cut the data, events of one second stay together, and every train event
        is earlier than every eval event, which is earlier than every test event. `leave_one_out`: each user's last
        event is test and the one before it eval; users with fewer than three events only train.

    Raises:
      DataError: a split comes out empty.
    """
    chosen = _timeline(time, split) if isinstance(split, GlobalTimeline) else _leave_one_out(user, time)
    for number, name in enumerate(c.EVENT_SPLITS):
        if not (chosen == number).any():
            raise DataError(
                f"data.split: {split.kind} leaves the {name} split empty ({len(time)} events, "
                f"{len(np.unique(time))} different times). Give more data, or change data.split"
            )
    return chosen


def _timeline(time: Ints, split: GlobalTimeline) -> Ints:
    ordered = np.sort(time)
    count = len(ordered)
    eval_start = ordered[min(int(count * (1 - split.eval_share - split.test_share)), count - 1)]
    test_start = ordered[min(int(count * (1 - split.test_share)), count - 1)]
    return np.where(time >= test_start, TEST, np.where(time >= eval_start, EVAL, TRAIN))


def _leave_one_out(user: Ints, time: Ints) -> Ints:
    order = np.lexsort((np.arange(len(user)), time, user))
    sorted_user = user[order]
    _, start, count = np.unique(sorted_user, return_index=True, return_counts=True)
    place = np.arange(len(user)) - np.repeat(start, count)
    from_end = np.repeat(count, count) - place
    sorted_split = np.where(from_end == 1, TEST, np.where(from_end == 2, EVAL, TRAIN))
    sorted_split[np.repeat(count, count) < 3] = TRAIN
    result = np.empty_like(sorted_split)
    result[order] = sorted_split
    return result
