from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from serving import version_store
from serving.batch import recommend_all
from settings.errors import RequestError
from settings.runtime import BeamSettings
from tests.serving.tiny_servable import USERS, save


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    return version_store.push(save(folder / "model"), folder / "films").path


def run(model_dir: Path, out: Path, k: int = 2) -> None:
    assert recommend_all(model_dir, out, k, 5, BeamSettings().pipeline_args, print) == 12


def test_every_user_is_answered_once_and_a_stopped_batch_goes_on(
    model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(model_dir, tmp_path)
    assert capsys.readouterr().out.startswith("12 users in 3 parts, 0 of them there already\n")
    table = pq.read_table(tmp_path).to_pylist()
    assert [row["user_id"] for row in table] == sorted(user.decode() for user in USERS)
    assert {tuple(row["item_ids"]) for row in table} == {("i1", "i2")}
    assert table[0]["scores"] == pytest.approx([0.6, 0.4])
    assert {row["rung"] for row in table} == {"model"}
    first, second, third = sorted(tmp_path.glob("*.parquet"))
    kept = first.stat().st_mtime_ns, third.stat().st_mtime_ns
    second.unlink()
    run(model_dir, tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "12 users in 3 parts, 2 of them there already",
        f"wrote {second.name}, 5 users",
    ]
    assert (first.stat().st_mtime_ns, third.stat().st_mtime_ns) == kept
    assert pq.read_table(tmp_path).to_pylist() == table
    assert not list(tmp_path.glob("*.tmp"))


def test_another_batch_is_not_mixed_in(model_dir: Path, tmp_path: Path) -> None:
    run(model_dir, tmp_path)
    with pytest.raises(RequestError, match=r"_batch\.json: is of another model, k or part size"):
        run(model_dir, tmp_path, k=3)


def test_short_lists_hold_no_empty_items(model_dir: Path, tmp_path: Path) -> None:
    run(model_dir, tmp_path, k=5)
    assert {tuple(row["item_ids"]) for row in pq.read_table(tmp_path).to_pylist()} == {("i1", "i2", "i3")}
