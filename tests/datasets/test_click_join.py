from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from datasets.click_join import CLICK_SCHEMA, PAGE_SCHEMA, Gathered, JoinCounts, joined

Page = tuple[str, str, int, list[str]]
Click = tuple[str, int, str]


def gathered(pages: list[Page], clicks: list[Click], max_records: int = 100, rows_at_once: int = 500_000) -> Any:
    """Gather the records one by one, in the order given."""
    page_log = Gathered(PAGE_SCHEMA, ["user_id", "timestamp", "request_id"], max_records, rows_at_once)
    click_log = Gathered(CLICK_SCHEMA, ["user_id", "timestamp", "item_id"], max_records, rows_at_once)
    for request, user, time, menu in pages:
        row = {"request_id": request, "user_id": user, "timestamp": time, "history": ["h"], "menu": menu}
        page_log.add(pa.Table.from_pylist([row], PAGE_SCHEMA))
    for user, time, item in clicks:
        click_log.add(pa.Table.from_pylist([{"user_id": user, "timestamp": time, "item_id": item}], CLICK_SCHEMA))
    return page_log, click_log


def slots(pages: list[Page], clicks: list[Click], **limits: int) -> tuple[dict[str, list[int]], JoinCounts]:
    table, counts = joined(*gathered(pages, clicks, **limits), window_seconds=120)
    return {row["request_id"]: row["clicked"] for row in table.to_pylist()}, counts


def test_a_click_belongs_to_the_newest_page_of_its_user_that_showed_the_item() -> None:
    pages: list[Page] = [
        ("r1", "ann", 100, ["a", "b", "c"]),
        ("r2", "ann", 150, ["b", "d"]),
        ("r3", "bob", 160, ["a", "b"]),
    ]
    clicks = [("ann", 170, "b"), ("ann", 180, "a"), ("bob", 161, "b"), ("ann", 171, "d")]
    found, counts = slots(pages, clicks)
    assert found == {"r1": [0], "r2": [0, 1], "r3": [1]}
    assert counts == JoinCounts(pages=3, pages_with_click=3, clicks=4, joined=4)


@pytest.mark.parametrize(
    ("second", "fate"), [(99, "unmatched"), (100, "joined"), (220, "joined"), (221, "late"), (5000, "late")]
)
def test_the_window_begins_with_the_page_and_its_last_second_counts(second: int, fate: str) -> None:
    found, counts = slots([("r1", "ann", 100, ["a", "b"])], [("ann", second, "b")])
    assert found == {"r1": [1] if fate == "joined" else []}
    assert counts == JoinCounts(pages=1, clicks=1, pages_with_click=int(fate == "joined"), **{fate: 1})


def test_clicks_on_others_items_and_by_others_are_unmatched() -> None:
    _, counts = slots([("r1", "ann", 100, ["a"])], [("ann", 110, "x"), ("bob", 110, "a")])
    assert counts.unmatched == 2


def test_duplicates_are_dropped_and_double_clicks_joined_once() -> None:
    page: Page = ("r1", "ann", 100, ["a", "b"])
    clicks = [("ann", 110, "b"), ("ann", 110, "b"), ("ann", 112, "b"), ("ann", 105, "a")]
    found, counts = slots([page, page, page], clicks)
    assert found == {"r1": [0, 1]}  # in the order of the clicks
    assert counts == JoinCounts(
        pages=3, duplicate_pages=2, pages_with_click=1, clicks=4, duplicate_clicks=1, joined=2, repeated=1
    )


def test_an_item_in_two_slots_is_clicked_in_the_first() -> None:
    found, _ = slots([("r1", "ann", 100, ["b", "a", "b"])], [("ann", 101, "b")])
    assert found == {"r1": [0]}


def test_a_robot_keeps_its_earliest_records() -> None:
    pages: list[Page] = [(f"r{second}", "robot", second, ["a"]) for second in range(10)]
    clicks = [("robot", second, "a") for second in range(10)]
    found, counts = slots(pages, clicks, max_records=3)
    assert list(found) == ["r0", "r1", "r2"]
    assert (counts.robot_pages, counts.robot_clicks, counts.joined) == (7, 7, 3)


@pytest.mark.parametrize("rows_at_once", [3, 1000])
def test_neither_order_nor_memory_limit_changes_anything(rows_at_once: int) -> None:
    random = np.random.default_rng(3)
    pages: list[Page] = [
        (f"r{n // 2}", f"u{random.integers(3)}", int(random.integers(60)), [f"i{i}" for i in random.integers(0, 6, 3)])
        for n in range(60)
    ]
    clicks = [(f"u{random.integers(3)}", int(random.integers(200)), f"i{random.integers(6)}") for _ in range(80)]
    pages, clicks = pages + pages[:9], clicks + clicks[:9]
    tables = []
    for _ in range(3):
        shuffled_pages = [pages[n] for n in random.permutation(len(pages))]
        shuffled_clicks = [clicks[n] for n in random.permutation(len(clicks))]
        tables.append(joined(*gathered(shuffled_pages, shuffled_clicks, 8, rows_at_once), window_seconds=50))
    assert tables[0][0].equals(tables[1][0])
    assert tables[0][0].equals(tables[2][0])
    assert tables[0][1] == tables[1][1] == tables[2][1]
    assert tables[0][1].robot_pages > 0


def test_it_agrees_with_looking_at_every_page() -> None:
    random = np.random.default_rng(5)
    pages: list[Page] = [
        (f"r{n:02d}", f"u{random.integers(4)}", int(random.integers(400)), [f"i{i}" for i in random.permutation(7)[:4]])
        for n in range(50)
    ]
    clicks = sorted(
        {(f"u{random.integers(4)}", int(random.integers(600)), f"i{random.integers(8)}") for _ in range(200)}
    )
    expected: dict[str, list[tuple[int, int]]] = {page[0]: [] for page in pages}
    late = unmatched = 0
    for user, time, item in clicks:
        shown = [page for page in pages if page[1] == user and item in page[3] and page[2] <= time]
        if not shown:
            unmatched += 1
            continue
        request, _, second, menu = max(shown, key=lambda page: (page[2], page[0]))
        if time - second > 120:
            late += 1
        else:
            expected[request].append((time, menu.index(item)))
    found, counts = slots(pages, clicks)
    assert found == {
        request: list(dict.fromkeys(slot for _, slot in sorted(places))) for request, places in expected.items()
    }
    assert (counts.late, counts.unmatched) == (late, unmatched)
    assert late > 10
    assert unmatched > 10


def test_no_click_at_all_leaves_the_pages() -> None:
    found, counts = slots([("r1", "ann", 100, ["a"])], [])
    assert found == {"r1": []}
    assert counts == JoinCounts(pages=1)
