from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets import sources
from settings.data import MindSource, OpenBanditSource, PageExamples
from settings.errors import DataError

BEHAVIOR = "1\tU1\t11/12/2019 2:14:46 PM\tN1 N2\tN3-0 N4-1"
NEWS = "N4\tnews\tworld\tA title\tText\thttps://x\t[]\t[]"


def mind(folder: Path, behaviors: str, news: str = NEWS) -> MindSource:
    (folder / "behaviors.tsv").write_text(behaviors)
    (folder / "news.tsv").write_text(news)
    return MindSource(kind="mind", path=str(folder), examples=PageExamples())


def test_mind_is_read_as_pages(tmp_path: Path) -> None:
    first_visit = "2\tU2\t11/13/2019 12:05:00 AM\t\tN5-1 N3-0 N4-1"
    data = sources.read(mind(tmp_path, f"{BEHAVIOR}\n{first_visit}\n"))
    assert data.events.select(
        ["user_id", "item_id", "timestamp", "position", "watch_history", "menu_item_ids", "clicked_item_ids"]
    ).to_pylist() == [
        {
            "user_id": "U1", "item_id": "N4", "timestamp": 1573568086, "position": 2, "watch_history": ["N1", "N2"],
            "menu_item_ids": ["N3", "N4"], "clicked_item_ids": ["N4"],
        },
        {
            "user_id": "U2", "item_id": "N5", "timestamp": 1573603500, "position": 1, "watch_history": [],
            "menu_item_ids": ["N5", "N3", "N4"], "clicked_item_ids": ["N5", "N4"],
        },
    ]  # fmt: skip
    assert data.items is not None
    assert data.items["item_id"].to_pylist() == ["N4", "N3", "N5"]
    assert data.items["category"].to_pylist() == ["news", None, None]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1\tU1\t13/12/2019 2:14:46 PM\tN1\tN3-0", "time should read month/day/year"),
        ("1\tU1\t11/12/2019 2:14:46 PM\tN1\tN3-0 N4", "impressions should hold news, each with -1"),
        ("1\t\t11/12/2019 2:14:46 PM\tN1\tN3-0", "user_id should hold an id"),
        ("1\tU1\t11/12/2019 2:14:46 PM\tN1", "has 4 fields, expected 5"),
    ],
)
def test_a_damaged_row_of_mind_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError) as found:
        sources.read(mind(tmp_path, f"{BEHAVIOR}\n{row}\n"))
    assert f"behaviors.tsv, line 2: {message}" in str(found.value)


def test_the_real_rows_of_mind(real_data: Callable[[str], Path]) -> None:
    folder = real_data("mind-small-sample")
    data = sources.read(MindSource(kind="mind", path=str(folder)))
    with (folder / "behaviors.tsv").open() as file:
        marks = [mark for line in file for mark in line.rstrip("\n").split("\t")[4].split()]
    assert data.events.num_rows == len(marks) == 189_359
    assert data.events["item_id"].to_pylist() == [mark[:-2] for mark in marks]
    assert sum(data.events["rating"].to_pylist()) == sum(mark.endswith("-1") for mark in marks) == 7_542


@pytest.mark.parametrize(("policy", "campaign"), [("random", "men"), ("bts", "all")])
def test_the_real_rows_of_open_bandit(real_data: Callable[[str], Path], policy: str, campaign: str) -> None:
    folder = real_data("open-bandit-small")
    source = OpenBanditSource.model_validate(
        {"kind": "open_bandit", "path": str(folder), "policy": policy, "campaign": campaign}
    )
    data = sources.read(source)
    with gzip.open(folder / policy / campaign / f"{campaign}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    events = data.events.to_pydict()
    assert len(rows) == data.events.num_rows == 10_000
    for name, column in (("item_id", "item_id"), ("user_feature_2", "user_feature_2")):
        assert events[name] == [row[column] for row in rows]
    assert events["rating"] == [float(row["click"]) for row in rows]
    assert events["position"] == [int(row["position"]) for row in rows]
    assert events["propensity_score"] == pytest.approx([float(row["propensity_score"]) for row in rows])
    assert events["user_item_affinity"] == pytest.approx(
        [float(row[f"user-item_affinity_{row['item_id']}"]) for row in rows]
    )
    assert len(set(events["user_id"])) == len({tuple(row[f"user_feature_{n}"] for n in range(4)) for row in rows})
    assert data.items is not None
    assert data.items.num_rows == {"men": 34, "all": 80}[campaign]


def test_a_missing_campaign_and_a_damaged_impression_are_named(tmp_path: Path) -> None:
    source = OpenBanditSource(kind="open_bandit", path=str(tmp_path))
    with pytest.raises(DataError, match=r"random/all: lacks all.csv \(or .gz\) or item_context.csv"):
        sources.input_files(source)
    folder = tmp_path / "random" / "all"
    folder.mkdir(parents=True)
    (folder / "item_context.csv").write_text(",item_id,item_feature_0\n0,0,1.5\n")
    header = "timestamp,item_id,position,click,propensity_score," + ",".join(f"user_feature_{n}" for n in range(4))
    time = "2019-11-24 00:00:34.762830+00:00"
    good = f"{time},0,1,0,0.5,a,b,c,d"
    for row, message in (
        (f"{time},0,1,2,0.5,a,b,c,d", "click should be 0 or 1. Received: '2'"),
        (f"{time},0,1,0,0,a,b,c,d", "propensity_score should be a probability above 0"),
        ("yesterday,0,1,0,0.5,a,b,c,d", "timestamp should be a time with its zone"),
    ):
        (folder / "all.csv").write_text("\n".join([header, good, row]))
        with pytest.raises(DataError) as found:
            sources.read(source)
        assert f"all.csv, line 3: {message}" in str(found.value)
