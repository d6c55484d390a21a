from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.pusher import Executor, Pusher
from serving.version_store import latest, versions
from settings.errors import ShortlistError

Push = Callable[..., standard_artifacts.PushedModel]


@pytest.fixture
def push(tmp_path: Path) -> Push:
    """Run the executor; return the artifact that it described."""

    def once(weights: str = "a", gate: int | None = 1, infra: int | None = 1, keep: int = 5) -> Any:
        model, pushed_model = standard_artifacts.Model(), standard_artifacts.PushedModel()
        model_blessing, infra_blessing = standard_artifacts.ModelBlessing(), standard_artifacts.InfraBlessing()
        model.uri, model_blessing.uri = str(tmp_path / "models" / weights), str(tmp_path / "gate")
        served = Path(model.uri) / "Format-Serving"
        served.mkdir(parents=True, exist_ok=True)
        (served / "saved_model.pb").write_text(weights)
        for blessing, blessed in ((model_blessing, gate), (infra_blessing, infra)):
            if blessed is not None:
                blessing.set_int_custom_property("blessed", blessed)
        infra_blessing.set_string_custom_property("reason", "" if infra else "does not load: DataLossError")
        Executor(BaseExecutor.Context(pipeline_run_id="run-7")).Do(
            {"model": [model], "model_blessing": [model_blessing], "infra_blessing": [infra_blessing]},
            {"pushed_model": [pushed_model]},
            {"serving_root": str(tmp_path / "serving"), "keep": keep},
        )
        return pushed_model

    return once


def described(artifact: standard_artifacts.PushedModel) -> dict[str, Any]:
    properties = artifact.mlmd_artifact.custom_properties
    return {name: getattr(value, value.WhichOneof("value")) for name, value in properties.items()}


def test_a_blessed_model_becomes_the_newest_version(push: Push, tmp_path: Path) -> None:
    artifact = push()
    version = latest(tmp_path / "serving")
    assert version is not None
    assert described(artifact) == {
        "pushed": 1,
        "reason": "",
        "pushed_destination": str(version.path),
        "pushed_path": str(version.path),
        "pushed_version": str(version.number),
    }
    assert (version.path / "saved_model.pb").read_text() == "a"
    manifest = version.manifest()
    assert (manifest.model_uri, manifest.run_id) == (str(tmp_path / "models" / "a"), "run-7")


def test_the_same_model_stays_where_it_is(push: Push, tmp_path: Path) -> None:
    first, again = push(), push()
    assert described(again)["pushed"] == 1
    assert described(again)["pushed_path"] == described(first)["pushed_path"]
    assert described(again)["reason"] == f"version {described(first)['pushed_version']} already is this model"
    assert len(versions(tmp_path / "serving")) == 1


@pytest.mark.parametrize(("gate", "infra"), [(0, 1), (1, 0), (0, 0), (None, 1), (1, None)])
def test_what_one_check_refused_is_not_pushed(push: Push, tmp_path: Path, gate: int | None, infra: int | None) -> None:
    push("good")
    before = latest(tmp_path / "serving")
    artifact = push("bad", gate=gate, infra=infra)
    assert latest(tmp_path / "serving") == before
    properties = described(artifact)
    assert properties.keys() == {"pushed", "reason"}
    assert properties["pushed"] == 0
    assert ("the gate did not bless the model" in properties["reason"]) == (not gate)
    assert ("infra validation refused the model: does not load: DataLossError" in properties["reason"]) == (not infra)


def test_the_gates_reasons_are_told(push: Push, tmp_path: Path) -> None:
    verdicts = [
        {"name": "ndcg@10", "slice": "overall", "passed": True, "reason": "0.2 is at least 0.1"},
        {"name": "ndcg@10", "slice": "gender=F", "passed": False, "reason": "0.1 is below 0.15"},
    ]
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "gate.json").write_text(json.dumps(verdicts))
    reason = described(push(gate=0))["reason"]
    assert reason == "the gate did not bless the model: ndcg@10 (gender=F): 0.1 is below 0.15"


def test_old_versions_go(push: Push, tmp_path: Path) -> None:
    for weights in "abc":
        push(weights, keep=2)
    assert [(version.path / "saved_model.pb").read_text() for version in versions(tmp_path / "serving")] == ["b", "c"]


def test_a_model_that_is_not_there_is_an_error(push: Push, tmp_path: Path) -> None:
    (tmp_path / "serving").write_text("")
    with pytest.raises(ShortlistError, match=r"is a file. Expected the folder of the served versions"):
        push()


def test_another_serving_root_is_another_execution() -> None:
    node = Pusher(
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
        infra_blessing=Channel(type=standard_artifacts.InfraBlessing),
        serving_root="output/serving/movies",
        keep=3,
    )
    assert node.id == "Pusher"
    assert node.outputs["pushed_model"].type is standard_artifacts.PushedModel
    assert node.exec_properties == {"serving_root": "output/serving/movies", "keep": 3}
