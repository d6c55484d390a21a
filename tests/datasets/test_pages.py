from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from datasets import pages
from datasets.interactions import Interactions
from datasets.timeline import Timeline
from settings.data import DataSettings, GlobalTimeline, PageExamples, TableSource
from settings.errors import DataError

PAGES = [
    {"request_id": "r1", "user_id": "ann", "timestamp": 100, "history": ["p"], "menu": ["a", "b", "c"], "clicked": [1]},
    {"request_id": "r2", "user_id": "bob", "timestamp": 200, "history": [], "menu": ["b", "d"], "clicked": []},
    {
        "request_id": "r3",
        "user_id": "ann",
        "timestamp": 300,
        "history": ["p", "q"],
        "menu": ["c", "a"],
        "clicked": [1, 0],
    },
]


def events(items: pa.Table | None = None, **examples: Any) -> Interactions:
    table = pa.Table.from_pylist(PAGES, pages.SCHEMA)
    return pages.interactions(table, PageExamples.model_validate(examples), items, "a test")


def test_one_example_a_page_holds_the_menu_and_the_item_clicked_first() -> None:
    data = events()
    assert data.events.to_pylist() == [
        {
            "user_id": "ann", "item_id": "b", "timestamp": 100, "rating": 1.0, "chosen": True, "request_id": "r1",
            "position": 2, "watch_history": ["p"], "menu_item_ids": ["a", "b", "c"], "clicked_item_ids": ["b"],
        },
        {
            "user_id": "ann", "item_id": "a", "timestamp": 300, "rating": 1.0, "chosen": True, "request_id": "r3",
            "position": 2, "watch_history": ["p", "q"], "menu_item_ids": ["c", "a"], "clicked_item_ids": ["a", "c"],
        },
    ]  # fmt: skip
    assert data.items is not None
    assert data.items["item_id"].to_pylist() == ["a", "b", "c", "d"]


def test_one_example_an_impression_has_what_was_not_clicked_for_negatives() -> None:
    table = events(per="impression").events
    rows = zip(*(table[name].to_pylist() for name in ("request_id", "item_id", "position", "rating")), strict=True)
    assert list(rows) == [("r1", "a", 1, 0), ("r1", "b", 2, 1), ("r1", "c", 3, 0), ("r3", "c", 1, 1), ("r3", "a", 2, 1)]
    assert table["chosen"].to_pylist() == [False, True, False, True, True]
    assert table["watch_history"].to_pylist() == [["p"]] * 3 + [["p", "q"]] * 2


def test_pages_without_a_click_stay_where_they_are_wanted() -> None:
    table = events(per="impression", pages_without_click=True).events
    assert table["request_id"].to_pylist() == ["r1"] * 3 + ["r2"] * 2 + ["r3"] * 2


def test_sampled_negatives_are_not_of_the_page_and_have_no_position() -> None:
    table = events(per="impression", sampled_negatives=20).events
    assert table.equals(events(per="impression", sampled_negatives=20).events)
    sampled = [row for row in table.to_pylist() if row["position"] is None]
    assert {(row["request_id"], row["item_id"]) for row in sampled} == {("r1", "d"), ("r3", "b"), ("r3", "d")}
    assert not any(row["chosen"] or row["rating"] for row in sampled)
    assert table.num_rows - len(sampled) == 5


def test_the_catalogue_is_what_is_known_and_what_was_shown() -> None:
    known = pa.table({"item_id": ["x", "b"], "title": ["X", "B"]})
    items = events(known).items
    assert items is not None
    assert items.to_pydict() == {"item_id": ["x", "b", "a", "c", "d"], "title": ["X", "B", None, None, None]}


def test_what_was_shown_and_not_chosen_enters_no_history_and_no_count() -> None:
    settings = DataSettings(
        source=TableSource(path="unused"), split=GlobalTimeline(eval_share=0.2, test_share=0.2), liked_at_least=1
    )
    timeline = Timeline(events(per="impression", pages_without_click=True), settings)
    rows = [row for name in ("train", "eval", "test") for block in timeline.blocks(name) for row in block.to_pylist()]
    last = next(row for row in rows if row["request_id"] == [b"r3"] and row["item_id"] == [b"c"])
    assert last["history_item_ids"] == [b"b"]
    assert last["seen_item_ids"] == [b"b"]
    assert last["user_event_count"] == [1]
    assert last["item_event_count"] == [0]
    assert last["item_rating_mean"] == [0.0]  # shown once before, and not clicked
    assert last["user_rating_mean"] == [pytest.approx(1 / 3)]
    assert last["seconds_since_last_event"] == [200.0]
    (users,) = timeline.user_blocks()
    ann, bob = users.to_pylist()
    assert (ann["user_id"], ann["watch_history"], ann["user_event_count"]) == ([b"ann"], [b"p", b"q"], [3])
    assert (bob["history_item_ids"], bob["seen_item_ids"], bob["user_event_count"]) == ([], [], [0])


def test_pages_of_which_none_was_clicked_are_refused() -> None:
    table = pa.Table.from_pylist(PAGES[1:2], pages.SCHEMA)
    with pytest.raises(DataError, match="a test: none of its 1 pages was clicked"):
        pages.interactions(table, PageExamples(), None, "a test")
