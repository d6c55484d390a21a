"""`rollback` and `lineage` on a real store of versions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration.code_revision import VARIABLE, code_revision
from orchestration.command_line import main
from serving import version_store


@pytest.fixture
def output_root(tmp_path: Path) -> Path:
    """Versions 5 and 6, pushed by runs of which the second's record is there."""
    for number, run in ((5, "20260101-000000"), (6, "20260102-000000")):
        model = tmp_path / f"model-{number}"
        model.mkdir()
        (model / "saved_model.pb").write_text(str(number))
        root = tmp_path / "serving" / "films"
        version_store.push(model, root, run_id=run, clock=lambda number=number: number)  # type: ignore[misc]
    record = tmp_path / "runs" / "20260102-000000" / "summary.json"
    record.parent.mkdir(parents=True)
    summary = {
        "run_id": "20260102-000000",
        "code_revision": "abc",
        "source": "ratings.csv",
        "nodes": [],
        "data": {"train": {"rows": 3, "first_timestamp": 0, "last_timestamp": 86_400}},
        "metrics": [{"slice": "overall", "name": "ndcg@10", "value": 0.25}],
    }
    record.write_text(json.dumps(summary))
    return tmp_path


def call(root: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, [*(str(argument) for argument in arguments), "--output-root", str(root)])


def test_a_version_is_traced_to_its_run_data_and_code(output_root: Path) -> None:
    found = json.loads(call(output_root, "lineage", "--json").stdout)
    assert found["version"] == 6
    assert (found["run_id"], found["code_revision"], found["source"]) == ("20260102-000000", "abc", "ratings.csv")
    assert found["data"] == {"train": ["1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00"]}
    assert found["metrics"] == {"ndcg@10": 0.25}
    assert found["undamaged"] is True
    text = call(output_root, "lineage", "--version", 6).stdout
    assert "1970-01-01T00:00:00+00:00 to 1970-01-02T00:00:00+00:00" in text
    # The record of the first run is gone: what the manifest holds is told.
    (output_root / "serving" / "films" / "5" / "saved_model.pb").write_text("other")
    found = json.loads(call(output_root, "lineage", "--version", 5, "--json").stdout)
    assert (found["run_id"], found["code_revision"], found["undamaged"]) == ("20260101-000000", None, False)
    wrong = call(output_root, "lineage", "--version", 4)
    assert wrong.exit_code == 2
    assert "--version 4: is not in" in wrong.stderr
    assert "[5, 6]" in wrong.stderr


def test_a_rollback_is_told_and_traced(output_root: Path) -> None:
    told = call(output_root, "rollback")
    assert told.exit_code == 0
    newest = version_store.latest(output_root / "serving" / "films")
    assert newest is not None
    assert told.stdout == f"Version {newest.number} serves: it is version 5 again, in place of 6\n"
    found = json.loads(call(output_root, "lineage", "--json").stdout)
    assert (found["restored_from"], found["run_id"]) == (5, "20260101-000000")
    again = call(output_root, "rollback")
    assert again.exit_code == 1
    assert "no good version before 5" in again.stderr


def test_the_code_revision_is_the_commit_or_what_the_image_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    found = code_revision()
    assert found is None if done.returncode else str(found).removesuffix("-dirty") == done.stdout.strip()
    monkeypatch.setenv(VARIABLE, "built-from-1a2b")
    assert code_revision() == "built-from-1a2b"
