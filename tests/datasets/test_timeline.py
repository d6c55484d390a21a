from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from datasets import timeline as timeline_module
from datasets.interactions import Interactions
from datasets.timeline import Timeline
from settings.data import DataSettings, GlobalTimeline, TableSource
from settings.errors import DataError


def timeline(rows: list[tuple[str, str, int, float]], **settings: object) -> Timeline:
    columns = list(zip(*rows, strict=True))
    events = pa.table(
        {
            "user_id": list(columns[0]),
            "item_id": list(columns[1]),
            "timestamp": pa.array(columns[2], pa.int64()),
            "rating": pa.array(columns[3], pa.float32()),
        }
    )
    users = pa.table({"user_id": ["ann"], "age": [31]})
    items = pa.table({"item_id": ["10", "9", "2"], "title": ["Ten", "Nine", None], "tags": [["x", "y"], [], ["z"]]})
    source = TableSource(path="unused")
    defaults = {"source": source, "split": GlobalTimeline(eval_share=0.125, test_share=0.25)}
    return Timeline(Interactions(events, users, items, "test"), DataSettings.model_validate(defaults | settings))


ROWS = [
    ("ann", "9", 100, 4.0),
    ("bob", "9", 110, 2.0),
    ("ann", "10", 120, 5.0),
    ("ann", "2", 120, 3.0),  # the same second as the row before: neither knows of the other
    ("ann", "9", 120, 3.0),
    ("ann", "9", 120, 3.0),  # a duplicate
    ("bob", "10", 130, 1.0),
    ("ann", "9", 140, 5.0),
    ("ann", "10", 150, 2.0),
]


def rows_of(found: Timeline, split: str) -> list[dict[str, list[object]]]:
    return [row for block in found.blocks(split) for row in block.to_pylist()]


def test_rows_know_what_was_before_them_and_nothing_else() -> None:
    found = timeline(ROWS, history_length=2)
    assert found.num_duplicates == 1
    train = rows_of(found, "train")
    assert [row["item_id"] for row in train] == [[b"9"], [b"9"], [b"10"], [b"2"], [b"9"]]
    tied = train[3]
    assert tied["history_item_ids"] == [b"9"]
    assert tied["user_event_count"] == [1]
    assert tied["user_rating_mean"] == [4.0]
    assert tied["item_event_count"] == [0]
    assert tied["item_rating_mean"] is None
    assert tied["seconds_since_last_event"] == [20.0]
    assert tied["query_id"] == [b"ann@120"] == train[2]["query_id"]
    assert train[4]["item_rating_mean"] == [(4 + 2) / 2]
    assert train[0]["seconds_since_last_event"] is None
    assert "seen_item_ids" not in train[0]
    (evaluated,) = rows_of(found, "eval")
    assert evaluated["user_id"] == [b"bob"]
    test = rows_of(found, "test")
    assert test[1]["seen_item_ids"] == [b"9", b"10", b"2", b"9", b"9"]
    assert test[1]["history_item_ids"] == [b"9", b"9"]
    assert test[1]["user_rating_mean"] == [pytest.approx((4 + 5 + 3 + 3 + 5) / 5)]


def test_labels_follow_their_bounds() -> None:
    train = rows_of(timeline(ROWS, relevant_at_least=3.0, liked_at_least=5.0), "train")
    assert [row["relevant"] for row in train] == [[1.0], [0.0], [1.0], [1.0], [1.0]]
    assert [row["liked"] for row in train] == [[0.0], [0.0], [1.0], [0.0], [0.0]]


def test_tables_are_joined_and_what_they_lack_is_missing() -> None:
    train = rows_of(timeline(ROWS), "train")
    assert (train[0]["age"], train[1]["age"]) == ([31], None)
    assert train[2]["tags"] == [b"x", b"y"]
    assert train[3]["title"] is None


def test_sequence_ends_mark_the_last_train_row_and_every_length_before() -> None:
    train = rows_of(timeline(ROWS, history_length=2), "train")
    ends = [(row["user_id"], row["is_sequence_end"]) for row in train]
    assert ends == [([b"ann"], [0]), ([b"bob"], [1]), ([b"ann"], [1]), ([b"ann"], [0]), ([b"ann"], [1])]


def test_the_catalogue_is_in_order_of_id_with_counts_of_train_alone() -> None:
    rows = timeline(ROWS).item_rows().to_pylist()
    assert [row["item_id"] for row in rows] == [[b"2"], [b"9"], [b"10"]]
    assert [row["item_event_count"] for row in rows] == [[1], [3], [1]]
    assert rows[1]["item_rating_mean"] == [3.0]


def test_users_stand_after_their_last_event() -> None:
    ann, bob = (row for block in timeline(ROWS, history_length=2).user_blocks() for row in block.to_pylist())
    assert ann["history_item_ids"] == [b"9", b"10"]
    assert ann["seen_item_ids"] == [b"9", b"10", b"2", b"9", b"9", b"10"]
    assert (ann["user_event_count"], bob["user_event_count"]) == ([6], [2])
    assert (ann["timestamp"], ann["age"], bob["age"]) == ([150], [31], None)


def test_the_future_changes_no_row_of_the_past() -> None:
    random = np.random.default_rng(0)
    rows = [  # two users every second, so that no event is another's duplicate
        (f"u{number % 5}", f"{random.integers(9)}", number // 2, float(random.integers(1, 6))) for number in range(300)
    ]
    whole = timeline(rows)
    bound = int(whole.time[whole.split == 1].min())
    shuffled = [row for row in rows if row[2] < bound]
    future = [row for row in rows if row[2] >= bound]
    swapped = random.permutation(len(future))
    shuffled += [(row[0], future[j][1], row[2], future[j][3]) for row, j in zip(future, swapped, strict=True)]
    assert rows_of(timeline(shuffled), "train") == rows_of(whole, "train")


def test_a_table_may_not_overwrite_a_computed_column() -> None:
    found = timeline(ROWS)
    bad = Interactions(found.data.events, pa.table({"user_id": ["ann"], "rating": [1]}), None, "test")
    with pytest.raises(DataError, match="'rating' of the user table"):
        list(Timeline(bad, found.settings).blocks("train"))


def test_blocks_bounded_by_ids_hold_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"u{number % 3}", f"{number % 11}", number, 1.0) for number in range(200)]
    whole = timeline(rows)
    before = {split: rows_of(whole, split) for split in ("train", "eval", "test")}
    users = [row for block in whole.user_blocks() for row in block.to_pylist()]
    monkeypatch.setattr(timeline_module, "_BLOCK_IDS", 100)
    cut = timeline(rows)
    blocks = list(cut.blocks("test"))
    assert len(blocks) > 10
    for block in blocks:  # a row of these holds at most 50 + 66 ids
        assert sum(len(row["history_item_ids"] + row["seen_item_ids"]) for row in block.to_pylist()) <= 100 + 116
    assert {split: rows_of(cut, split) for split in ("train", "eval", "test")} == before
    assert [row for block in cut.user_blocks() for row in block.to_pylist()] == users


def test_ratings_too_large_for_exact_means_are_refused() -> None:
    rows = [(user, item, time, 1e11) for user, item, time, _ in ROWS]
    with pytest.raises(DataError, match=r"columns\.rating: the ratings add up to 8e\+11.*larger unit"):
        rows_of(timeline(rows), "train")
