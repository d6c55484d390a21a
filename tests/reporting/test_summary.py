"""The record of a run, as other programs rely on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reporting.summary import MetricRecord, read, write, write_atomically
from reporting.summary_docs import render
from tests.reporting.sample import sample

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_summary_survives_the_trip_through_its_file(tmp_path: Path) -> None:
    write(sample(), tmp_path / "summary.json")
    assert read(tmp_path / "summary.json") == sample()
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_the_fields_that_programs_rely_on_are_there() -> None:
    tree = json.loads(sample().model_dump_json())
    assert {"schema_version", "run_id", "config", "data", "nodes", "metrics", "gate", "blessed", "pushed_path",
            "version", "exit_code", "error"} <= tree.keys()  # fmt: skip
    assert {"rows", "users", "items"} <= tree["data"]["train"].keys()
    assert {"name", "state", "seconds", "cached"} <= tree["nodes"][0].keys()
    assert tree["metrics"][0].keys() >= {"slice", "name", "value", "baseline", "popularity", "interval"}
    assert {"name", "slice", "value", "bound", "passed"} <= tree["gate"][0].keys()


def test_a_number_that_is_not_finite_is_null_and_the_file_is_strict_json(tmp_path: Path) -> None:
    metrics = tuple(MetricRecord(slice="overall", name="auc", value=v) for v in (float("nan"), float("inf"), 0.5))
    write(sample(metrics=metrics), tmp_path / "summary.json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    tree = json.loads((tmp_path / "summary.json").read_text(), parse_constant=refuse)
    assert [row["value"] for row in tree["metrics"]] == [None, None, 0.5]


def test_a_newer_file_with_more_fields_is_read_and_another_schema_is_not(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    tree = json.loads(sample().model_dump_json())
    path.write_text(json.dumps(tree | {"novelty": 1}))
    assert read(path) == sample()
    path.write_text(json.dumps(tree | {"schema_version": 2}))
    with pytest.raises(ValueError, match="schema_version"):
        read(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"


def test_the_documentation_is_that_of_the_code() -> None:
    assert (REPOSITORY / "docs" / "summary.md").read_text() == render(), (
        "run: python -m reporting.summary_docs > docs/summary.md"
    )
