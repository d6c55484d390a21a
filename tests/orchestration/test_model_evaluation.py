from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.model_evaluation import evaluate_model
from reporting import summary as summaries
from settings.errors import RequestError
from tests.evaluation.echo import config, echo_models, save_echo, write_rows  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("echo_models")


def _row(index: int) -> dict:
    own = {"rank": 1.0 + index % 2, "popularity_rank": 3.0, "finite": 1.0, "spread": 2.0}
    row = {"user_id": f"u{index}", "item_id": "i", "query_id": f"q{index}", "relevant": 1.0, "liked": 1.0}
    return row | own | {f"blessed_{name}": value for name, value in own.items()}


def test_a_saved_model_is_judged_outside_of_a_run(tmp_path: Path):
    write_rows(tmp_path / "data" / "Split-test" / "data_tfrecord-00000-of-00001.gz", [_row(i) for i in range(12)])
    for name, prefix in (("model", ""), ("baseline", "blessed_")):
        save_echo(tmp_path / name, "retrieval", prefix)
    folders = [tmp_path / name / "Format-Serving" for name in ("model", "baseline")]
    gate = {"popularity_metric": "mrr@10"}
    found = evaluate_model(config("retrieval", gate=gate), folders[0], tmp_path / "data", folders[1], tmp_path / "out")

    row = found.metric("mrr@10")
    assert row is not None
    assert (row.value, row.baseline, row.difference_interval) == (0.75, 0.75, (0, 0))
    assert (found.blessed, found.exit_code) == (True, 0)
    assert summaries.read(tmp_path / "out" / "summary.json") == found
    assert "mrr@10" in (tmp_path / "out" / "page.html").read_text()


def test_what_is_no_model_or_no_examples_is_refused(tmp_path: Path):
    with pytest.raises(RequestError, match=r"--model-dir .*holds no saved_model\.pb"):
        evaluate_model(config("retrieval"), tmp_path, None, None, None)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(RequestError, match=r"--data .*holds no Split-test"):
        evaluate_model(config("retrieval"), tmp_path, tmp_path, None, None)
