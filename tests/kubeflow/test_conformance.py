"""The compiled package of a tiny pipeline, run as separate processes against real metadata servers."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kubeflow.conftest import Cluster
from tests.kubeflow.stand_in import FirstCold, Warm

NODES = ["numbers", "doubler", "baseline", "publisher"]


def summary(cluster: Cluster, run_id: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((cluster.root / "runs" / run_id / "summary.json").read_text())
    return record


def states(cluster: Cluster, run_id: str) -> dict[str, str]:
    return {node["name"]: node["state"] for node in summary(cluster, run_id)["nodes"]}


@pytest.mark.e2e
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("cluster", ["mariadb"], indirect=True)
def test_a_run_ends_as_it_does_locally_and_the_next_is_taken_from_cache(cluster: Cluster, warm: Warm) -> None:
    cluster.backend.start = start = FirstCold(warm)
    first = cluster.backend.run("run-1")
    assert start.cold == {f"orchestration.kubeflow.{name}" for name in ("prepare", "node", "report")}
    assert first.exit_codes == dict.fromkeys(["prepare", *NODES, "report"], 0), first.output("report")
    assert list(first.attempts) == ["prepare", *NODES, "report"]
    # seed 21, doubled; the resolver of the first run finds this run's model, as its upstream made it
    assert (cluster.root / "serving" / "published").read_text() == "42 after 42"
    assert states(cluster, "run-1") == dict.fromkeys(["Numbers", "Doubler", "Baseline", "Publisher"], "complete")

    second = cluster.backend.run("run-2")
    assert set(second.exit_codes.values()) == {0}, second.output("report")
    assert states(cluster, "run-2") == {
        "Numbers": "cached",
        "Doubler": "cached",
        "Baseline": "complete",
        "Publisher": "cached",
    }
    changed = cluster.backend.run("run-3", overrides=["training.seed=5"])
    assert set(changed.exit_codes.values()) == {0}, changed.output("report")
    assert (cluster.root / "serving" / "published").read_text() == "10 after 10"

    password = cluster.server.password_file.read_text()
    said = [attempt for run in (first, second, changed) for attempts in run.attempts.values() for attempt in attempts]
    assert all(password not in " ".join(attempt.command) + attempt.output for attempt in said)
    written = [path for path in [*cluster.root.rglob("*"), cluster.package] if path.is_file()]
    assert not [path for path in written if password.encode() in path.read_bytes()]


@pytest.mark.e2e
@pytest.mark.parametrize("cluster", ["postgresql", "grpc"], indirect=True)
def test_a_killed_node_is_tried_again_in_the_same_execution_without_its_rubbish(cluster: Cluster) -> None:
    cluster.switch.write_text("die")
    run = cluster.backend.run("run-1")
    assert [attempt.exit_code for attempt in run.attempts["doubler"]] == [-9, 0]
    assert run.exit_codes["report"] == 0
    assert (cluster.root / "serving" / "published").read_text() == "42 after 42"
    # One folder: the second attempt went on with the first one's execution and swept it.
    (model,) = (cluster.root / "artifacts" / "Doubler" / "model").iterdir()
    assert [path.name for path in model.iterdir()] == ["value.txt"]
    with cluster.store() as handle:
        states = [execution.last_known_state for execution in handle.store.get_executions()]
        assert states == [handle.store.get_executions()[0].COMPLETE] * 4  # one a node, none left running


@pytest.mark.e2e
@pytest.mark.parametrize("cluster", ["mariadb"], indirect=True)
def test_the_projects_exit_code_reaches_the_pod_and_the_run(cluster: Cluster) -> None:
    for task in cluster.backend.spec["components"]["comp-exit-handler-1"]["dag"]["tasks"].values():
        task["retryPolicy"]["maxRetryCount"] = 0
    cluster.switch.write_text("anomalies")
    run = cluster.backend.run("run-1")
    assert run.exit_codes == {"prepare": 0, "numbers": 0, "doubler": 3, "report": 3}
    assert "column x is negative" in run.output("report")
    error = summary(cluster, "run-1")["error"]
    assert (error["kind"], error["node"]) == ("DataAnomaliesError", "Doubler")
    assert states(cluster, "run-1")["Publisher"] == "not_run"


@pytest.mark.e2e
@pytest.mark.parametrize("cluster", ["mariadb"], indirect=True)
def test_parameters_that_change_the_shape_are_refused_before_any_node_runs(cluster: Cluster) -> None:
    for task in cluster.backend.spec["components"]["comp-exit-handler-1"]["dag"]["tasks"].values():
        task["retryPolicy"]["maxRetryCount"] = 0
    run = cluster.backend.run("run-1", overrides=["training.epochs=99"])
    assert run.exit_codes == {"prepare": 2, "report": 2}
    assert "Extra" in run.output("prepare")
    assert "compile and submit anew" in run.output("prepare")


@pytest.mark.e2e
@pytest.mark.parametrize("cluster", ["mariadb"], indirect=True)
def test_a_metadata_server_that_is_gone_for_ten_seconds_loses_no_execution(cluster: Cluster) -> None:
    cluster.switch.write_text("wait")
    waiting = cluster.switch.with_suffix(".waiting")

    def outage() -> None:
        for _ in range(1200):
            if waiting.exists():
                break
            time.sleep(0.1)
        cluster.server.stop()
        time.sleep(10)
        cluster.server.start()

    thread = threading.Thread(target=outage)
    thread.start()
    run = cluster.backend.run("run-1")
    thread.join()
    assert run.exit_codes == dict.fromkeys(["prepare", *NODES, "report"], 0), run.output("doubler")
    assert len(run.attempts["doubler"]) == 1  # the node waited, it was not started anew
    assert (cluster.root / "serving" / "published").read_text() == "42 after 42"


@pytest.mark.e2e
@pytest.mark.parametrize("cluster", ["mariadb"], indirect=True)
def test_the_page_and_the_metrics_are_handed_to_kubeflow(cluster: Cluster) -> None:
    run = cluster.backend.run("run-1")
    assert "<html" in run.artifact("report", "page").read_text()
    handed = json.loads(Path(run.folder, "report", "executor_output.json").read_text())
    metrics = handed["artifacts"]["metrics"]["artifacts"][0]
    assert metrics["metadata"]["exit_code"] == 0
    assert metrics["uri"] == "minio://mlpipeline/run-1/metrics"
