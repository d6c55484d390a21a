"""How far the order of MovieLens 1M by its own times agrees with the one that SASRec's authors published.

python -m benchmarks.quality.orders     # reads ml-1m and sasrec/ml-1m.txt in $SHORTLIST_DATA, prints one JSON object

The published file numbers users and films anew. Who is who follows from who rated what: no two users or films have the
same place in that graph.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from benchmarks.quality.problem import ITEM, USER
from benchmarks.quality.protocols import read_published
from datasets.movielens import read_1m
from datasets.quarantine import Quarantine

# The published file leaves out films with fewer ratings.
_FEWEST_RATINGS = 5
_ROUNDS = 6


def places(user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a number for each user and each item that depends on who chose what alone, not on how they are numbered.

    A user's is made from those of the user's items and the other way around, round by round from the counts on.

    Args:
      user: int64 `(num_events,)`, from 0 without gaps.
      item: int64 `(num_events,)`, likewise.

    Example:
      >>> first, _ = places(np.array([0, 0, 1]), np.array([0, 1, 1]))
      >>> again, _ = places(np.array([1, 1, 0]), np.array([1, 0, 0]))  # users and items swapped
      >>> bool(first[0] == again[1]), bool(first[0] == first[1])
      (True, False)
    """
    of_user, of_item = np.bincount(user).astype(np.uint64), np.bincount(item).astype(np.uint64)
    for _ in range(_ROUNDS):
        of_user, of_item = _summed(user, _mixed(of_item)[item]), _summed(item, _mixed(of_user)[user])
    return of_user, of_item


def _summed(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    total = np.zeros(group.max() + 1, np.uint64)
    np.add.at(total, group, values)
    return total


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return well spread numbers, the same for the same (splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def agreement(user: np.ndarray, item: np.ndarray, time: np.ndarray, published: np.ndarray) -> dict[str, float]:
    """Return for which share of the neighbours in the order by time the published order is the same.

    Args:
      user: int64 `(num_events,)`, from 0 without gaps.
      item: int64 `(num_events,)`, likewise.
      time: int64 `(num_events,)`; events of one time stand in the order of the arguments.
      published: int64 `(num_events, 2)`, user and item, each from 0, oldest first within a user.

    Raises:
      ValueError: the two are not the same events, or who is who cannot be told.

    Example:
      >>> user, item, time = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 0, 1, 0]), np.array([1, 2, 2, 1, 2, 1])
      >>> published = np.array([[0, 1], [0, 2], [1, 1], [2, 1], [2, 0], [2, 2]])  # their user 2 is our user 0
      >>> agreement(user, item, time, published)["neighbours that share a second"]
      0.0
    """
    order = np.lexsort((np.arange(len(user)), time, user))
    user, item, time = user[order], item[order], time[order]
    ours, theirs = places(user, item), places(*published.T)
    same = all(
        len(np.unique(mine)) == len(mine) and np.array_equal(np.sort(mine), np.sort(other))
        for mine, other in zip(ours, theirs, strict=True)
    )
    if not same:
        raise ValueError(
            f"the two orders should hold the same events of the same users. Received: {len(user)} and {len(published)} "
            "events"
        )
    # Their users and items by our numbers, and where each of our events stands in their order.
    who, what = (_positions(mine, other) for mine, other in zip(ours, theirs, strict=True))
    num_items = item.max() + 1
    place = _positions(who[published[:, 0]] * num_items + what[published[:, 1]], user * num_items + item)
    neighbours = user[1:] == user[:-1]
    kept = place[1:] > place[:-1]
    tied = time[1:] == time[:-1]
    last = np.append(~neighbours, True)
    last_published = np.append(published[1:, 0] != published[:-1, 0], True)
    return {
        "events": len(user),
        "neighbours with times of their own": float(kept[neighbours & ~tied].mean()),
        "neighbours that share a second": float(kept[neighbours & tied].mean()),
        "last item": float(last_published[place[last]].mean()),
    }


def _positions(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where in the values, none of them there twice, each of the wanted ones stands."""
    order = np.argsort(values)
    return order[np.searchsorted(values[order], wanted)]


def main() -> None:
    """Print the agreement."""
    data = Path(os.environ.get("SHORTLIST_DATA", "data"))
    events = read_1m(data / "ml-1m", Quarantine()).events
    user, item = (np.unique(events[name].to_numpy(), return_inverse=True)[1] for name in (USER, ITEM))
    many = np.bincount(item)[item] >= _FEWEST_RATINGS
    user, item = (np.unique(ids[many], return_inverse=True)[1] for ids in (user, item))
    time = events["timestamp"].to_numpy()[many]
    print(json.dumps(agreement(user, item, time, read_published(data))))


if __name__ == "__main__":
    main()
