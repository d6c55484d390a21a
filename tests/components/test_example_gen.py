from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components.example_gen import SUMMARY_FILE, Executor
from datasets import timeline
from settings.data import DataSettings, MovieLensSource, TableSource


def generate(settings: DataSettings, folder: Path) -> standard_artifacts.Examples:
    folder.mkdir()
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    Executor().Do({}, {"examples": [artifact]}, {"data": settings.model_dump_json(), "fingerprint": "abc"})
    return artifact


def records_of(folder: Path, split: str) -> list[bytes]:
    (path,) = (folder / f"Split-{split}").iterdir()
    batches = tf.data.TFRecordDataset(str(path), compression_type="GZIP").batch(10_000)
    return [record for batch in batches.as_numpy_iterator() for record in batch]


def test_all_splits_are_written_with_their_counts(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    settings = DataSettings(source=MovieLensSource(kind="movielens_100k", path=str(real_data("ml-100k"))))
    artifact = generate(settings, tmp_path / "first")
    assert artifact_utils.decode_split_names(artifact.split_names) == ["train", "eval", "test", "items", "users"]
    summary = json.loads((tmp_path / "first" / SUMMARY_FILE).read_text())
    assert {name: split["rows"] for name, split in summary["splits"].items()} == {
        "train": 79_999, "eval": 10_001, "test": 10_000,
    }  # fmt: skip
    assert summary["splits"]["train"]["last_timestamp"] < summary["splits"]["eval"]["first_timestamp"]
    assert summary["splits"]["eval"]["last_timestamp"] < summary["splits"]["test"]["first_timestamp"]
    assert (summary["quarantined"], summary["duplicates"], summary["fingerprint"]) == (0, 0, "abc")
    counts = {}
    for split in ("train", "eval", "test", "items", "users"):
        records = records_of(tmp_path / "first", split)
        counts[split] = len(records)
        example = tf.train.Example.FromString(records[-1])
        assert ("item_id" if split == "items" else "user_id") in example.features.feature
    assert counts == {"train": 79_999, "eval": 10_001, "test": 10_000, "items": 1682, "users": 943}


def test_the_same_twice_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "BLOCK_ROWS", 100)
    rows = "".join(f"u{row % 7},i{row % 11},{10**9 + row}\n" for row in range(500))
    (tmp_path / "r.csv").write_text("user_id,item_id,timestamp\n" + rows)
    settings = DataSettings(source=TableSource(path=str(tmp_path / "r.csv")))
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        for root in (Path(generate(settings, tmp_path / name).uri) for name in ("first", "second"))
    )
    assert len(first) == 6
    assert first == second
