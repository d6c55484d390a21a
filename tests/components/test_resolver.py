from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from serving import version_store
from tests.components.blessing_pipeline import create, create_warm


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[str]]:
    """Run the pipeline once on one metadata store; return what its nodes did, cached ones nothing."""

    def once(version: str, good: int = 1, name: str = "movies") -> list[str]:
        log = tmp_path / "log"
        log.write_text("")
        LocalDagRunner().run(create(tmp_path, name, version, good, log))
        return log.read_text().splitlines()

    return once


def test_first_run_compares_with_nothing(run):
    assert run("a") == ["compared a with nothing", "judged a"]


def test_unchanged_run_is_cached_although_its_model_was_blessed(run):
    run("a")

    assert run("a") == []


def test_changed_run_compares_with_the_blessed_model_and_stays_cached(run):
    run("a")

    assert run("b") == ["compared b with a", "judged b"]
    assert run("b") == []


def test_unblessed_model_is_not_a_baseline(run):
    run("a")
    run("b", good=0)

    assert run("c")[0] == "compared c with a"


def test_model_that_returned_to_service_is_the_latest(run):
    run("a")
    run("b")
    assert run("a") == ["compared a with b"]  # its own judgement comes from cache, and still is the newest

    assert run("c")[0] == "compared c with a"


def test_deleted_model_is_passed_over(run, tmp_path):
    run("a")
    run("b")
    (model,) = (path.parent for path in tmp_path.rglob("version") if path.read_text() == "b")
    shutil.rmtree(model)

    assert run("c")[0] == "compared c with a"


def test_after_a_rollback_the_model_that_serves_again_is_the_baseline(run, tmp_path):
    for version in ("a", "b"):
        run(version)
        (model,) = (path.parent for path in tmp_path.rglob("version") if path.read_text() == version)
        version_store.push(model, tmp_path / "serving", model_uri=str(model))
    version_store.rollback(tmp_path / "serving")

    assert run("c")[0] == "compared c with a"
    assert run("a")[0] == "compared a with c"  # never with itself


def test_a_damaged_serving_root_does_not_stop_a_run(run, tmp_path):
    run("a")
    (tmp_path / "serving" / "7").mkdir(parents=True)

    assert run("b")[0] == "compared b with a"


def test_models_of_other_pipelines_are_not_baselines(run):
    run("a", name="movies")

    assert run("b", name="books")[0] == "compared b with nothing"


def test_a_model_starts_from_the_blessed_one_of_other_data(tmp_path: Path) -> None:
    def run(data: str, version: str, good: int = 1) -> list[str]:
        log = tmp_path / "log"
        log.write_text("")
        LocalDagRunner().run(create_warm(tmp_path, data, version, good, log))
        return log.read_text().splitlines()

    assert run("monday", "a") == ["trained a from nothing", "judged a"]
    assert run("monday", "a") == []  # its own model was blessed, and yet nothing is to be done
    assert run("monday", "b") == ["trained b from nothing", "judged b"]
    assert run("tuesday", "c", good=0) == ["trained c from b", "judged c"]
    assert run("wednesday", "d") == ["trained d from b", "judged d"]
    assert run("wednesday", "d") == []
