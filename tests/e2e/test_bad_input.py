"""Every bad input ends with its exit code and a message that names the place and the remedy, and loses nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Outcome

pytestmark = pytest.mark.e2e

Ask = Callable[..., Outcome]
HEADER = "user_id,item_id,timestamp,rating\n"
ROWS = "".join(f"u{i % 7},i{i % 11},{1_000_000_000 + 60 * i},{1 + i % 5}\n" for i in range(200))


def configuration(folder: Path, text: bytes, **changes: Any) -> Path:
    """Write a ten-line configuration over one CSV file."""
    (folder / "ratings.csv").write_bytes(text)
    tree = {
        "name": "mine",
        "data": {"source": {"kind": "table", "path": str(folder / "ratings.csv"), "columns": {"rating": "rating"}}},
        "features": [
            {"name": "user_id", "kind": "categorical", "tower": "query"},
            {"name": "item_id", "kind": "categorical", "tower": "candidate"},
        ],
        "model": {"name": "popularity"},
        "gate": {"floors": [{"metric": "ndcg@10", "at_least": 0.0}]},
        **changes,
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", ["ratings.csv", "empty"]),
        (HEADER.encode(), ["ratings.csv", "header"]),
        ((HEADER + ROWS).replace("timestamp", "when").encode(), ["ratings.csv", "'timestamp'", "when"]),
        ((HEADER + ROWS + "u1,i1,77\n").encode(), ["ratings.csv", "202", "4", "3"]),
        ((HEADER + "u1,i1,yesterday,3\n" + ROWS).encode(), ["ratings.csv", "timestamp", "'yesterday'"]),
        ((HEADER + "u1,i1,1000000000,good\n" + ROWS).encode(), ["ratings.csv", "rating", "'good'"]),
        (HEADER.encode() + b"u1,caf\xe9,1000000000,3\n" + ROWS.encode(), ["ratings.csv", "UTF-8"]),
    ],
    ids=["empty", "header-only", "missing-column", "ragged", "bad-timestamp", "bad-rating", "bad-utf8"],
)
def test_a_damaged_file_is_named_with_its_line(ask: Ask, tmp_path: Path, text: bytes, words: list[str]) -> None:
    path = configuration(tmp_path, text)
    outcome = ask("run", "--config", path, "--output-root", tmp_path / "output")
    assert outcome.exit_code == 2, outcome.output
    for word in words:
        assert word in outcome.output
    assert "Traceback" not in outcome.output
    assert (tmp_path / "ratings.csv").read_bytes() == text
    assert not (tmp_path / "output" / "serving").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainning": {"epochs": 1}}, ["trainning", "is not a known key"]),
        ({"gate": {}}, ["no threshold", "gate.floors"]),
        ({"gate": {"floors": [{"metric": "ndgc@10", "at_least": 0}]}}, ["ndgc@10", "ndcg@10"]),
        ({"model": {"name": "sasrec"}}, ["sasrec", "'sequence'"]),
    ],
    ids=["unknown-key", "no-threshold", "unknown-metric", "model-without-its-input"],
)
def test_a_wrong_configuration_is_refused_before_any_work(
    ask: Ask, tmp_path: Path, changes: Mapping[str, Any], words: list[str]
) -> None:
    path = configuration(tmp_path, (HEADER + ROWS).encode(), **changes)
    for command in (["validate"], ["run", "--output-root", tmp_path / "output"]):
        outcome = ask(*command, "--config", path)
        assert outcome.exit_code == 2, outcome.output
        for word in [str(path), *words]:
            assert word in outcome.output
    assert not (tmp_path / "output").exists()


def test_a_missing_file_and_an_unwritable_output_are_named(ask: Ask, tmp_path: Path) -> None:
    path = configuration(tmp_path, (HEADER + ROWS).encode())
    outcome = ask("run", "--config", path, "--data-path", tmp_path / "absent.csv", "--output-root", tmp_path / "o")
    assert outcome.exit_code == 2, outcome.output
    assert "absent.csv" in outcome.output
    (tmp_path / "file").write_text("in the way")
    outcome = ask("run", "--config", path, "--output-root", tmp_path / "file" / "output")
    assert outcome.exit_code == 2, outcome.output
    assert str(tmp_path / "file") in outcome.output


def test_recommend_before_any_push_says_how_to_get_a_model(ask: Ask, tmp_path: Path) -> None:
    outcome = ask("recommend", "--user", "1", "--output-root", tmp_path)
    assert outcome.exit_code == 2
    assert "run --config" in outcome.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(ask: Ask, tmp_path: Path) -> None:
    path = configuration(tmp_path, (HEADER + ROWS).encode())
    (tmp_path / "closed").mkdir(mode=0o500)
    outcome = ask("run", "--config", path, "--output-root", tmp_path / "closed" / "output")
    assert outcome.exit_code == 2
    assert "closed" in outcome.output
