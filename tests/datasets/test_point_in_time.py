from __future__ import annotations

import numpy as np
import pytest

from datasets.point_in_time import Ties, past


def brute_force(group: np.ndarray, time: np.ndarray, ties: Ties, event: int) -> list[int]:
    """The strictly earlier events of one event's group, oldest first, by looking at every event."""
    key = lambda e: (time[e], e)  # noqa: E731
    earlier = [
        other
        for other in range(len(group))
        if group[other] == group[event]
        and (key(other) < key(event) if ties == "file_order" else time[other] < time[event])
    ]
    return sorted(earlier, key=key)


@pytest.fixture
def events() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups, times with many ties in no order, and values."""
    random = np.random.default_rng(7)
    return random.integers(0, 6, 300), random.integers(0, 40, 300), random.normal(size=300)


@pytest.mark.parametrize("ties", ["strict", "file_order"])
def test_everything_agrees_with_looking_at_every_event(
    events: tuple[np.ndarray, np.ndarray, np.ndarray], ties: Ties
) -> None:
    group, time, values = events
    found = past(group, time, ties)
    offsets, windows = found.windows(np.arange(300), 5)
    for event in range(300):
        earlier = brute_force(group, time, ties, event)
        assert found.counts[event] == len(earlier)
        mean = np.mean(values[earlier]) if earlier else np.nan
        assert found.means(values)[event] == pytest.approx(mean, abs=1e-7, nan_ok=True)
        last = time[earlier[-1]] if earlier else np.nan
        assert found.last(time)[event] == pytest.approx(last, nan_ok=True)
        assert windows[offsets[event] : offsets[event + 1]].tolist() == earlier[-5:]


def test_deleting_or_shuffling_the_future_changes_nothing_before_it(
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    group, time, values = (array[np.argsort(events[1], kind="stable")] for array in events)
    before = int(np.searchsorted(time, 25))
    whole = past(group, time, "strict")
    cut = past(group[:before], time[:before], "strict")
    random = np.random.default_rng(1)
    mixed_group, mixed_values = group.copy(), values.copy()
    mixed_group[before:] = random.permutation(group[before:])
    mixed_values[before:] = random.permutation(values[before:])
    mixed = past(mixed_group, time, "strict")
    expected = whole.means(values)[:before]
    assert cut.means(values[:before]).tobytes() == expected.tobytes()
    assert mixed.means(mixed_values)[:before].tobytes() == expected.tobytes()
    for other in (cut, mixed):
        assert other.counts[:before].tobytes() == whole.counts[:before].tobytes()
        for left, right in zip(other.windows(np.arange(before), 4), whole.windows(np.arange(before), 4), strict=True):
            assert left.tobytes() == right.tobytes()


def test_an_inclusive_window_ends_with_the_event_itself() -> None:
    found = past(np.array([0, 0, 1, 0]), np.array([1, 2, 2, 3]), "file_order")
    offsets, events = found.windows(np.array([3, 2]), 2, inclusive=True)
    assert offsets.tolist() == [0, 2, 3]
    assert events.tolist() == [1, 3, 2]
