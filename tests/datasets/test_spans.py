from __future__ import annotations

from pathlib import Path

import pytest

from datasets import sources
from datasets.spans import resolve
from datasets.timeline import Timeline
from settings.data import DataSettings, Spans, TableSource
from settings.errors import DataError

DAYS = ("2026-11-17", "2026-11-18", "2026-11-20")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A day's ratings a folder, and what is no span."""
    for number, day in enumerate(DAYS):
        rows = [f"u{user},i{(user + number) % 3},{(number + 20_000) * 86_400 + user}" for user in range(5)]
        (tmp_path / day).mkdir()
        (tmp_path / day / "ratings.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "2026-11-21").write_text("a file")
    return tmp_path


def table(folder: Path, **spans: object) -> TableSource:
    return TableSource.model_validate({"path": f"{folder}/{{span}}/ratings.csv", "spans": spans})


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ({}, DAYS[2:]),
        ({"until": "2026-11-17"}, DAYS[:1]),
        ({"last": 2}, DAYS[1:]),
        ({"last": 2, "until": "2026-11-18"}, DAYS[:2]),
        ({"last": 9}, DAYS),
    ],
)
def test_the_newest_a_named_one_and_a_rolling_window(
    folder: Path, spans: dict[str, object], expected: tuple[str, ...]
) -> None:
    source = table(folder, **spans)
    assert sources.window(source) == list(expected)
    assert sources.input_files(source) == [folder / day / "ratings.csv" for day in expected]
    events = sources.read(source).events
    assert events.num_rows == 5 * len(expected)
    assert sorted({time // 86_400 - 20_000 for time in events["timestamp"].to_pylist()}) == [
        DAYS.index(day) for day in expected
    ]


def test_a_window_is_split_along_one_timeline_and_twice_the_same(folder: Path) -> None:
    settings = DataSettings(source=table(folder, last=3))
    first, second = (Timeline(sources.read(settings.source), settings) for _ in range(2))
    summary = first.summary()
    assert summary["train"]["last_timestamp"] < summary["eval"]["first_timestamp"]
    assert summary["eval"]["last_timestamp"] < summary["test"]["first_timestamp"]
    for split in ("train", "eval", "test"):
        assert [block.to_pydict() for block in first.blocks(split)] == [b.to_pydict() for b in second.blocks(split)]


def test_the_window_is_part_of_the_fingerprint(folder: Path) -> None:
    def fingerprint(**spans: object) -> str:
        return sources.fingerprint(DataSettings(source=table(folder, **spans)))

    latest = fingerprint()
    assert fingerprint() == latest
    assert fingerprint(last=2) != latest
    (folder / "2026-11-22").mkdir()
    (folder / "2026-11-22" / "ratings.csv").write_bytes((folder / DAYS[2] / "ratings.csv").read_bytes())
    assert fingerprint() != latest  # the same rows, another day


@pytest.mark.parametrize(
    ("path", "spans", "message"),
    [
        (
            "{span}/ratings.csv",
            {"until": "2026-11-19"},
            "has no span 2026-11-19. Found 3, from 2026-11-17 to 2026-11-20",
        ),
        ("tmp/{span}/ratings.csv", {}, "tmp: holds no dated folder. Expected folders such as 2026-11-20"),
        ("{span}/clicks-*.csv", {}, "2026-11-20/clicks-*.csv: is no file"),
        ("ratings-{span}.csv", {}, "should hold {span} once, as the whole name of a folder"),
    ],
)
def test_what_is_not_there_is_named(folder: Path, path: str, spans: dict[str, str], message: str) -> None:
    with pytest.raises(DataError) as found:
        resolve(f"{folder}/{path}", Spans.model_validate(spans))
    assert message in str(found.value)


def test_files_of_a_span_come_by_name(folder: Path) -> None:
    for day in DAYS[:2]:
        for part in ("b", "a"):
            (folder / day / f"part-{part}").write_text("x")
    found = resolve(f"{folder}/{{span}}/part-*", Spans(last=2, until=DAYS[1]))
    assert [str(path.relative_to(folder)) for path in found] == [
        f"{day}/part-{part}" for day in DAYS[:2] for part in ("a", "b")
    ]
