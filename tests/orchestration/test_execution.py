"""Whole runs of a tiny pipeline under TFX's own runners and metadata store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestration.commands.status import status
from orchestration.execution import RunRequest, execute
from orchestration.output_root import OutputRoot
from reporting.summary import Summary, read
from settings.config import Config
from settings.errors import ConfigError, ShortlistError

NODES = ["ExampleGen", "Trainer", "BaselineResolver", "Evaluator", "InfraValidator", "Pusher"]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration that does not depend on which models there are."""
    from models.registry import ModelParams, Task
    from settings.data import DataSettings, TableSource
    from settings.evaluation import GateSettings
    from settings.features import CategoricalFeature

    class Anything(ModelParams):
        task: ClassVar[Task] = "retrieval"
        name: str = "anything"

    return Config(
        name="tiny",
        data=DataSettings(source=TableSource(path="ratings.csv")),
        features=(CategoricalFeature(name="user_id", tower="query"),),
        model=Anything(),
        gate=GateSettings(popularity_metric="ndcg@10"),
    )


def run(config: Config, root: Path, create: Any, **request: Any) -> Summary:
    return execute(RunRequest(config, root, **request), create, " --config tiny.yaml")


def states(summary: Summary) -> dict[str, str]:
    return {node.name: node.state for node in summary.nodes}


def tiny(**behaviour: Any) -> Any:
    from tests.orchestration.tiny_pipeline import tiny as make

    return make(**behaviour)


@pytest.mark.parametrize("runner", ["local", "beam"])
def test_a_run_pushes_and_an_unchanged_one_takes_all_from_it(
    config: Config, tmp_path: Path, runner: str, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run(config, tmp_path, tiny(), runner=runner)
    printed = capfd.readouterr()
    assert first.exit_code == 0, first.error
    assert [node.name for node in first.nodes] == NODES
    assert set(states(first).values()) == {"complete"}
    assert first.node("Pusher").upstream == ("Trainer", "Evaluator", "InfraValidator")  # type: ignore[union-attr]
    assert first.data["train"].model_dump() == {
        "rows": 8, "users": 2, "items": 5, "first_timestamp": 10, "last_timestamp": 70,
    }  # fmt: skip
    assert (first.source, first.quarantined) == ("made up", 1)
    assert first.metric("ndcg@10", "gender=F").popularity == 0.1  # type: ignore[union-attr]
    assert first.metric("spread").value is None  # type: ignore[union-attr]
    assert first.training is not None
    assert [epoch["loss"] for epoch in first.training.epochs] == [1.0, 0.5]
    assert (first.blessed, first.infra_blessed, first.version, first.newly_pushed) == (True, True, 1, True)
    assert first.pushed_path == str(tmp_path / "serving" / "tiny" / "1")

    folder = tmp_path / "runs" / first.run_id
    assert read(folder / "summary.json") == first
    assert "Trainer" in (folder / "page.html").read_text()
    log = (folder / "log.txt").read_text()
    assert "noise on stdout" in log
    assert "Going to run a new execution" in log
    assert "Pushed version 1" in printed.out
    assert f"recommend --user USER --k 10 --output-root {tmp_path}" in printed.out
    assert "noise" not in printed.out + printed.err
    assert "execution" not in printed.err
    assert "\x1b" not in printed.out
    assert "epoch 1/2, step 4/4, loss 1.0000" in printed.err
    assert "epoch 2/2, step 4/4, loss 0.5000" in printed.err
    assert printed.err.index("Trainer            running") < printed.err.index("epoch 1/2")

    second = run(config, tmp_path, tiny(), runner=runner)
    assert second.exit_code == 0
    assert states(second) == dict.fromkeys(NODES, "cached") | {"BaselineResolver": "complete"}
    assert (second.version, second.newly_pushed, second.pushed_path) == (1, False, first.pushed_path)
    assert second.metrics == first.metrics
    assert "Unchanged, version 1 serves" in capfd.readouterr().out


@pytest.mark.parametrize("runner", ["local", "beam"])
@pytest.mark.parametrize(
    ("fail", "exit_code", "kind", "message"),
    [
        ("anomalies", 3, "DataAnomaliesError", "age: has type BYTES in 3 rows.\n  Expected INT"),
        ("beam", 2, "DataError", "ratings.csv, line 3: has 2 fields. Expected 4"),
        ("bug", 1, "KeyError", "column"),
        ("interrupt", 1, "KeyboardInterrupt", "interrupted"),
    ],
)
def test_a_node_that_fails_ends_the_run_with_its_error(
    config: Config,
    tmp_path: Path,
    runner: str,
    fail: str,
    exit_code: int,
    kind: str,
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    summary = run(config, tmp_path, tiny(fail=fail), runner=runner)
    assert summary.error is not None
    assert (summary.exit_code, summary.error.kind, summary.error.node) == (exit_code, kind, "ExampleGen")
    assert message in summary.error.message
    if kind.endswith("Error") and kind != "KeyError":
        assert summary.error.message == message
    assert states(summary) == dict.fromkeys(NODES, "not_run") | {"ExampleGen": "failed"}
    printed = capfd.readouterr()
    assert message.splitlines()[0] in printed.err
    assert "Traceback" not in printed.out + printed.err
    folder = tmp_path / "runs" / summary.run_id
    assert "Traceback" in (folder / "log.txt").read_text()
    assert read(folder / "summary.json").exit_code == exit_code


@pytest.mark.parametrize("runner", ["local", "beam"])
def test_a_resolver_that_tfx_fails_in_silence_stops_the_run(config: Config, tmp_path: Path, runner: str) -> None:
    summary = run(config, tmp_path, tiny(fail="resolver"), runner=runner)
    assert summary.exit_code == 1
    assert summary.error is not None
    assert summary.error.node == "BaselineResolver"
    assert "could not resolve its inputs" in summary.error.message
    after = states(summary)
    assert after["BaselineResolver"] == "failed"
    assert after["Evaluator"] == after["Pusher"] == "not_run"
    assert not (tmp_path / "serving").exists()


@pytest.mark.parametrize(
    ("behaviour", "exit_code"),
    [({"blessed": False}, 4), ({"infra_blessed": False}, 5), ({"blessed": False, "infra_blessed": False}, 4)],
)
def test_a_refused_model_is_not_served_and_the_old_one_stays(
    config: Config, tmp_path: Path, behaviour: dict[str, bool], exit_code: int
) -> None:
    assert run(config, tmp_path, tiny()).version == 1
    refused = run(config, tmp_path, tiny(seed=2, **behaviour))
    assert refused.exit_code == exit_code
    assert (refused.version, refused.pushed_path) == (None, None)
    assert (refused.error.node if refused.error else None) == ("InfraValidator" if exit_code == 5 else None)
    assert OutputRoot(tmp_path).versions("tiny") == [1]


def test_a_failure_before_the_pipeline_exists_is_recorded_too(config: Config, tmp_path: Path) -> None:
    summary = run(config, tmp_path, tiny(fail="early"))
    assert summary.exit_code == 2
    assert summary.nodes == ()
    assert summary.error is not None
    assert (summary.error.node, summary.error.message) == (None, "ratings.csv: is empty. Expected a header")
    assert (tmp_path / "runs" / summary.run_id / "page.html").is_file()


@pytest.mark.parametrize("runner", ["local", "beam"])
def test_a_partial_run_takes_the_rest_from_the_last_success(config: Config, tmp_path: Path, runner: str) -> None:
    with pytest.raises(ConfigError, match="no earlier run"):
        run(config, tmp_path, tiny(), runner=runner, from_node="Evaluator")
    head = run(config, tmp_path, tiny(), runner=runner, to_node="Trainer")
    assert head.exit_code == 0
    assert states(head) == dict.fromkeys(NODES, "not_run") | {"ExampleGen": "complete", "Trainer": "complete"}
    assert (head.blessed, head.version) == (None, None)
    early = run(config, tmp_path, tiny(), runner=runner, from_node="Evaluator")
    assert early.exit_code == 2
    assert early.error is not None
    assert "--from-node Evaluator: a node that is left out has no earlier success" in early.error.message
    assert run(config, tmp_path, tiny(blessed=False), runner=runner).exit_code == 4
    tail = run(config, tmp_path, tiny(), runner=runner, from_node="Evaluator")
    assert tail.exit_code == 0, tail.error
    assert states(tail) == dict.fromkeys(NODES, "reused") | {"Evaluator": "complete", "Pusher": "complete"}
    assert [node.cached for node in tail.nodes] == [True, True, True, False, True, False]
    assert tail.version == 1


def test_an_unknown_node_is_answered_with_the_known_ones(config: Config, tmp_path: Path) -> None:
    summary = run(config, tmp_path, tiny(), to_node="Trianer")
    assert summary.exit_code == 2
    assert summary.error is not None
    assert summary.error.message.startswith("--to-node Trianer: is no node of this pipeline. Nodes: ExampleGen, ")


def test_no_cache_runs_every_node_again(config: Config, tmp_path: Path) -> None:
    run(config, tmp_path, tiny())
    again = run(config, tmp_path, tiny(), use_cache=False)
    assert set(states(again).values()) == {"complete"}
    assert (again.version, again.newly_pushed) == (2, True)


def test_a_pushed_version_that_is_gone_is_not_called_served(config: Config, tmp_path: Path) -> None:
    run(config, tmp_path, tiny())
    shutil.rmtree(tmp_path / "serving")
    again = run(config, tmp_path, tiny())
    assert again.exit_code == 1
    assert again.error is not None
    assert "--from-node Pusher --no-cache" in again.error.message
    repaired = run(config, tmp_path, tiny(), from_node="Pusher", use_cache=False)
    assert (repaired.exit_code, repaired.version) == (0, 1)


def test_a_second_run_in_the_same_output_root_is_refused(config: Config, tmp_path: Path) -> None:
    with OutputRoot(tmp_path).new_run() as folder:
        with pytest.raises(ShortlistError, match=rf"another run is using it \(run {folder.name}") as caught:
            run(config, tmp_path, tiny())
        assert caught.value.exit_code == 1
        assert OutputRoot(tmp_path).running() == folder.name
    assert OutputRoot(tmp_path).running() is None


def test_status_tells_runs_nodes_and_versions(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, tmp_path, tiny())
    run(config, tmp_path, tiny(fail="anomalies"))
    with OutputRoot(tmp_path).new_run():
        pass
    capsys.readouterr()
    status.main(["--output-root", str(tmp_path), "--json"], standalone_mode=False)
    killed, failed, pushed = json.loads(capsys.readouterr().out)
    assert (killed["state"], "nodes" in killed) == ("interrupted", False)
    assert (failed["exit_code"], failed["outcome"]) == (3, "Data anomalies")
    assert (pushed["version"], pushed["blessed"], pushed["newly_pushed"]) == (1, True, True)
    assert pushed["nodes"][0]["name"] == "ExampleGen"
    assert pushed["nodes"][0]["cached"] is False
    assert pushed["metric"] == {"name": "ndcg@10", "value": 0.3, "popularity": 0.2}
    status.main(["--output-root", str(tmp_path), "--run", pushed["run_id"]], standalone_mode=False)
    text = capsys.readouterr().out
    assert "Pushed version 1" in text
    assert "✓ done" in text
