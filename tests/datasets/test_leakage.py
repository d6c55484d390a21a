from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets import sources
from datasets.interactions import Interactions
from datasets.leakage import LeakageReport, SuspiciousColumn, leakage_report
from datasets.timeline import Timeline
from settings.data import DataSettings, LeaveOneOut, MovieLensSource, TableSource

UNUSED = TableSource(path="unused")


def timeline(num_events: int = 400, leave_one_out: bool = False, **more: list[object]) -> Timeline:
    """Forty users, ratings 1 to 5 in an order that nothing else has."""
    source = np.random.default_rng(3)
    ratings = source.integers(1, 6, num_events)
    events = pa.table(
        {
            "user_id": [str(n % 40) for n in range(num_events)],
            "item_id": [str(n) for n in range(num_events)],
            "timestamp": list(range(num_events)),
            "rating": pa.array(ratings.astype(np.float32)),
            "hour": source.integers(0, 24, num_events),
            "page": [f"page {n % 7}" for n in range(num_events)],
        }
    )
    for name, values in more.items():
        events = events.set_column(events.column_names.index(name), name, pa.array(values)) if (
            name in events.column_names
        ) else events.append_column(name, pa.array(values))  # fmt: skip
    settings = DataSettings(source=UNUSED, split=LeaveOneOut()) if leave_one_out else DataSettings(source=UNUSED)
    return Timeline(Interactions(events, None, None, "memory"), settings)


def ratings_of(data: Timeline) -> list[float]:
    return data.events["rating"].to_pylist()


def test_sound_data_have_nothing_to_report() -> None:
    assert leakage_report(timeline()) == LeakageReport(
        pairs_across_splits=0, rows_across_splits=0, in_order=True, target_derived=[]
    )


def test_columns_made_of_the_label_are_found_whatever_their_form() -> None:
    ratings = ratings_of(timeline())
    made = {
        "percent": [20 * rating for rating in ratings],
        "distance": [None if n % 9 == 0 else 5 - rating for n, rating in enumerate(ratings)],
        "words": ["good" if rating >= 4 else "bad" for rating in ratings],
    }
    found = leakage_report(timeline(**made)).target_derived
    # Above the median of three are four and five stars: alone, each of the columns orders them without a mistake.
    assert found == [SuspiciousColumn(column=name, label="rating", auc=1.0) for name in made]


def test_pairs_that_meet_again_are_counted() -> None:
    # Everyone comes back to the same item: 80 of 400 events are later than train.
    report = leakage_report(timeline(item_id=[str(n % 40) for n in range(400)]))
    assert (report.pairs_across_splits, report.rows_across_splits) == (80, 0)


def test_leave_one_out_is_not_in_order() -> None:
    assert leakage_report(timeline()).in_order
    # Users come one after another, so the first one's test event is earlier than the others' train.
    assert not leakage_report(timeline(leave_one_out=True, user_id=[str(n // 10) for n in range(400)])).in_order


def test_movielens_leaks_nothing(real_data: Callable[[str], Path]) -> None:
    settings = DataSettings(source=MovieLensSource(kind="movielens_100k", path=str(real_data("ml-100k"))))
    report = leakage_report(Timeline(sources.read(settings.source), settings))
    assert report == LeakageReport(pairs_across_splits=0, rows_across_splits=0, in_order=True, target_derived=[])
