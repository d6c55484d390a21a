"""The whole pipeline on real rows, called as a user calls it: push, cache, refuse, recommend, and every bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Outcome

pytestmark = pytest.mark.e2e

Call = Callable[..., Outcome]
# Enough to beat popularity on the slice, little enough for a test.
QUICK = ("--set", "training.epochs=4")


@pytest.fixture(scope="module", params=["local", "beam"])
def first_run(
    request: pytest.FixtureRequest,
    call: Call,
    ask: Call,
    small_movielens: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Outcome, tuple[object, ...], Path]:
    """One run from nothing on each runner, with the arguments and the output root that it was called with."""
    root = tmp_path_factory.mktemp("output")
    arguments = (
        "run", "--config", "configs/movielens_100k.yaml", "--runner", request.param,
        "--data-path", small_movielens, "--output-root", root, *QUICK,
    )  # fmt: skip
    first = call if request.param == "local" else ask
    return first(*arguments), arguments, root


def test_the_first_run_pushes_a_version_that_beats_popularity(
    first_run: tuple[Outcome, tuple[object, ...], Path],
) -> None:
    outcome, _, root = first_run
    assert outcome.exit_code == 0, outcome.output
    assert outcome.summary is not None
    assert [node["name"] for node in outcome.summary["nodes"]] == [
        "ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform",
        "Trainer", "BaselineResolver", "Evaluator", "InfraValidator", "Pusher",
    ]  # fmt: skip
    assert {node["state"] for node in outcome.summary["nodes"]} == {"complete"}
    ndcg = outcome.metric("ndcg@10")
    assert ndcg["value"] > ndcg["popularity"] > 0
    assert ndcg["baseline"] is None
    assert outcome.metric("ndcg@10", "gender=F")["value"] > 0
    assert outcome.summary["blessed"] is True
    assert all(row["passed"] for row in outcome.summary["gate"])
    pushed = Path(outcome.summary["pushed_path"])
    assert (pushed / "saved_model.pb").is_file()
    manifest = json.loads((pushed / "manifest.json").read_text())
    assert manifest["version"] == outcome.summary["version"] == int(pushed.name)
    assert pushed.is_relative_to(root)


def test_an_unchanged_second_run_is_cached_and_a_bad_model_is_refused(
    first_run: tuple[Outcome, tuple[object, ...], Path], ask: Call
) -> None:
    first, arguments, root = first_run
    assert first.summary is not None
    second = ask(*arguments)
    assert second.exit_code == 0, second.output
    assert second.summary is not None
    nodes = second.summary["nodes"]
    assert sum(node["cached"] for node in nodes) >= 0.9 * len(nodes)
    assert second.summary["version"] == first.summary["version"]

    refused = ask(*arguments, "--set", "model.name=random")
    assert refused.exit_code == 4, refused.output
    assert refused.summary is not None
    assert refused.summary["blessed"] is False
    ndcg = refused.metric("ndcg@10")
    assert ndcg["baseline"] == pytest.approx(first.metric("ndcg@10")["value"], abs=1e-6)
    assert ndcg["value"] < ndcg["baseline"]
    assert any(not row["passed"] for row in refused.summary["gate"])
    versions = [path.name for path in (root / "serving" / "movielens_100k").iterdir() if path.name.isdigit()]
    assert versions == [str(first.summary["version"])]


def test_recommend_answers_a_known_user_and_refuses_an_unknown_one(
    first_run: tuple[Outcome, tuple[object, ...], Path], ask: Call
) -> None:
    _, _, root = first_run
    known = ask("recommend", "--user", "196", "--k", "5", "--output-root", root)
    assert known.exit_code == 0, known.output
    assert "(19" in known.output  # titles of MovieLens carry their year
    unknown = ask("recommend", "--user", "nobody", "--k", "5", "--output-root", root)
    assert unknown.exit_code == 2
    assert "nobody" in unknown.output
    wrong_k = ask("recommend", "--user", "196", "--k", "0", "--output-root", root)
    assert wrong_k.exit_code == 2
