"""Records as a live cluster wrote them (`make kubernetes-e2e`), and what is told of them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestration.kubeflow.commands import kubeflow
from orchestration.kubeflow.job_status import ClusterError, job_statuses, status_of
from settings.config import Config
from settings.kubernetes import KubernetesSettings
from tests.kubeflow.test_cluster_check import use

SETTINGS = KubernetesSettings(image="x:1")
SPEC = {"containers": [{"name": "shortlist", "resources": {"limits": {"memory": "600Mi"}}}]}


def job(*conditions: dict[str, Any], name: str = "shortlist-tiny-1", created: str = "2026-01-01T03:00:00Z") -> Any:
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": created}
    return {
        "metadata": metadata,
        "spec": {"activeDeadlineSeconds": 60},
        "status": {"conditions": [{"status": "True"} | entry for entry in conditions]},
    }


def pod(phase: str, *, owner: str = "shortlist-tiny-1", state: Any = None, conditions: Any = ()) -> Any:
    status = {"phase": phase, "conditions": list(conditions)}
    if state:
        status["containerStatuses"] = [{"name": "shortlist", "state": state}]
    metadata = {"name": f"{owner}-x", "ownerReferences": [{"uid": f"uid-{owner}"}]}
    return {"metadata": metadata, "spec": SPEC, "status": status}


def ended(code: int, reason: str, message: str = "") -> Any:
    return pod("Failed", state={"terminated": {"exitCode": code, "reason": reason, "message": message}})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            ended(137, "OOMKilled"),
            "killed for want of memory (OOMKilled, exit code 137) at its limit of 600Mi: raise "
            "kubernetes.nodes.Job.memory",
        ),
        (ended(4, "Error"), "exit code 4, not blessed: the gate said no; see kubectl logs"),
        (ended(143, "Error"), "exit code 143, killed by a signal"),
        (ended(128, "StartError", "runc create failed"), "StartError, exit code 128: runc create failed"),
        (
            pod("Pending", state={"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}),
            "cannot start: ErrImageNeverPull: not present",
        ),
        (
            pod(
                "Pending",
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": '0/1 nodes are available: 1 persistentvolumeclaim "absent" not found.',
                    }
                ],
            ),
            'finds no place: 0/1 nodes are available: 1 persistentvolumeclaim "absent" not found.',
        ),
    ],
)
def test_what_a_pod_cannot_tell_itself_is_told_in_words(found: Any, said: str) -> None:
    (reason,) = status_of(job(), [found]).reasons
    assert said in reason


def test_a_job_that_took_too_long_names_its_limit() -> None:
    status = status_of(job({"type": "Failed", "reason": "DeadlineExceeded"}), [])
    assert status.state == "failed"
    assert status.reasons == (
        "stopped by its time limit, 60 s (DeadlineExceeded): raise kubernetes.nodes.Job.timeout_seconds",
    )


def test_a_job_waits_runs_and_succeeds() -> None:
    running = pod("Running", state={"running": {}})
    states = [
        status_of(job(), [pod("Pending", state={"waiting": {"reason": "ContainerCreating"}})]),
        status_of(job(), [running]),
        status_of(job({"type": "Complete"}), [ended(0, "Completed")]),
    ]
    assert [status.state for status in states] == ["waiting", "running", "succeeded"]
    assert all(status.reasons == () for status in states)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """An API server with two Jobs, one of which failed; the value is what it was asked."""
    asked: list[str] = []
    items = {
        "/apis/batch/v1/namespaces/shortlist/jobs": [
            job({"type": "Failed"}, name="shortlist-tiny-1"),
            job({"type": "Complete"}, name="shortlist-tiny-2", created="2026-01-02T03:00:00Z"),
        ],
        "/api/v1/namespaces/shortlist/pods": [ended(137, "OOMKilled"), pod("Succeeded", owner="shortlist-tiny-2")],
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"items": items[self.path.partition("?")[0]]}).encode())

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    use(monkeypatch, tmp_path, f"http://127.0.0.1:{http.server_port}")
    yield asked
    http.shutdown()
    http.server_close()


def test_the_jobs_of_this_configuration_alone_are_asked_for_newest_first(api: list[str], config: Config) -> None:
    newest, oldest = job_statuses(config, SETTINGS)
    assert all("labelSelector=app.kubernetes.io%2Finstance%3Dshortlist-tiny" in path for path in api)
    assert (newest.name, newest.state, newest.reasons) == ("shortlist-tiny-2", "succeeded", ())
    assert (oldest.name, oldest.state, len(oldest.reasons)) == ("shortlist-tiny-1", "failed", 1)


def test_the_command_prints_a_block_for_each_job(api: list[str], tmp_path: Path, config: Config) -> None:
    (tmp_path / "config.json").write_text(config.to_json())
    (tmp_path / "cluster.yaml").write_text("image: x:1\n")
    words = ["job-status", "--config", str(tmp_path / "config.json"), "--cluster", str(tmp_path / "cluster.yaml")]
    done = CliRunner().invoke(kubeflow, words, catch_exceptions=False)
    second = done.output.split("\n\n")[1]
    assert second.startswith("shortlist-tiny-1  2026-01-01T03:00:00Z  failed\n  pod shortlist-tiny-1-x: killed")


def test_a_cluster_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: Config
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        use(monkeypatch, tmp_path, f"http://127.0.0.1:{probe.getsockname()[1]}")
    with pytest.raises(ClusterError, match=r"namespace shortlist: the cluster cannot be asked .* \$KUBECONFIG"):
        job_statuses(config, SETTINGS)
