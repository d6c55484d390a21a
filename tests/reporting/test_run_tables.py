"""The closing report in the terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reporting.comparison import headline, slice_names
from reporting.outcome import next_command, outcome
from reporting.run_tables import print_run
from reporting.summary import ErrorRecord, GateRecord, MetricRecord
from tests.reporting.sample import NDCG, sample


def printed(tmp_path: Path, **changes: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    (tmp_path / "page.html").write_text("")
    print_run(sample(**changes), tmp_path, Path("output"), Console(file=out), Console(file=err), " --config c.yaml")
    return out.getvalue(), err.getvalue()


def row(text: str, first: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(f" {first} "))


def test_candidate_baseline_and_popularity_stand_side_by_side(tmp_path: Path) -> None:
    text, errors = printed(tmp_path)
    assert errors == ""
    # (0.2131 - 0.2089) / 0.2089 = 2.0 %, (0.2131 - 0.1502) / 0.1502 = 41.9 %
    assert row(text, "ndcg@10") == ["ndcg@10", "0.2131", "0.2089", "+2.0", "%", "0.1502", "+41.9", "%"]
    assert row(text, "gender=F")[:3] == ["gender=F", "420", "0.1987"]
    assert [line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] in NDCG] == list(NDCG)
    assert "✓ Pushed version 3" in text
    assert "output/serving/movielens_100k/3" in text
    assert "python pipeline.py recommend --user USER --k 10\n" in text


def test_a_refusal_gives_the_reason_first(tmp_path: Path) -> None:
    gate = (
        GateRecord(name="ndcg@10 floor", value=0.2, bound=0.1, passed=True, reason="fine"),
        GateRecord(name="regression", slice="gender=F", value=0.1, bound=0.19, passed=False, reason="49 % below"),
    )
    text, _ = printed(
        tmp_path, gate=gate, blessed=False, version=None, pushed_path=None, newly_pushed=False, exit_code=4
    )
    assert text.index("✗ failed") < text.index("✓ passed")
    assert "✗ Not blessed\n  regression on gender=F: 49 % below. The version that serves now stays." in text
    assert "served from" not in text
    assert "run --config c.yaml --set" in text


def test_a_failure_is_told_on_the_error_stream(tmp_path: Path) -> None:
    error = ErrorRecord(kind="DataError", message="a.csv, line 3 [x]: has 2 fields", node="ExampleGen")
    out, err = printed(tmp_path, error=error, exit_code=2, metrics=(), gate=())
    assert out == ""
    assert "✗ Bad configuration or input\n  ExampleGen failed: a.csv, line 3 [x]: has 2 fields" in err
    assert "validate --config c.yaml" in err


@pytest.mark.parametrize(
    ("changes", "title", "command"),
    [
        ({}, "Pushed version 3", "recommend --user USER --k 10 --output-root D"),
        ({"newly_pushed": False}, "Unchanged, version 3 serves", "recommend --user USER --k 10 --output-root D"),
        ({"version": None, "pushed_path": None}, "Partial run", "run --config c --output-root D"),
        ({"blessed": False, "exit_code": 4}, "Not blessed", "run --config c --output-root D --set training.epochs=30"),
        ({"infra_blessed": False, "exit_code": 5}, "Infra validation failed", "log.txt"),
        ({"exit_code": 3, "error": ErrorRecord(kind="x", message="m")}, "Data anomalies", "log.txt"),
        ({"exit_code": 1, "error": ErrorRecord(kind="x", message="m")}, "Failed", "log.txt"),
    ],
)
def test_every_outcome_has_a_title_and_a_next_step(changes: dict[str, Any], title: str, command: str) -> None:
    run = sample(**changes)
    assert outcome(run).title == title
    assert next_command(run, "D", " --config c")[1].endswith(command)


def test_the_headline_is_what_the_gate_looks_at() -> None:
    assert headline(sample()) == "ndcg@10"
    rating = (
        MetricRecord(slice="overall", name="num_examples", value=9.0),
        MetricRecord(slice="overall", name="mae", value=0.7),
        MetricRecord(slice="overall", name="rmse", value=0.9),
    )
    assert headline(sample(metrics=rating, config={"gate": {"floors": [{"metric": "rmse", "at_most": 1}]}})) == "rmse"
    assert headline(sample(metrics=rating, config={})) == "mae"
    assert headline(sample(metrics=())) is None


def test_slices_are_listed_by_feature_and_number() -> None:
    names = ["b=>=50", "overall", "b=10-50", "a=x", "b=<10", "b=100-200"]
    run = sample(metrics=tuple(MetricRecord(slice=name, name="auc", value=0.5) for name in names))
    assert slice_names(run) == ["overall", "a=x", "b=<10", "b=10-50", "b=>=50", "b=100-200"]
