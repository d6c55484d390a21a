from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components.example_gen import SUMMARY_FILE, Executor
from settings.data import DataSettings, MovieLensSource


def generate(settings: DataSettings, folder: Path) -> standard_artifacts.Examples:
    folder.mkdir()
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    Executor().Do({}, {"examples": [artifact]}, {"data": settings.model_dump_json(), "fingerprint": "abc"})
    return artifact


def records_of(folder: Path, split: str) -> list[bytes]:
    (path,) = (folder / f"Split-{split}").iterdir()
    return list(tf.data.TFRecordDataset(str(path), compression_type="GZIP").as_numpy_iterator())


def test_all_splits_are_written_with_their_counts_and_twice_the_same(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
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

    generate(settings, tmp_path / "second")
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        for root in (tmp_path / "first", tmp_path / "second")
    )
    assert len(first) == 6
    assert first == second
