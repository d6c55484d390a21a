from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.kubeflow.cluster_check import check_cluster
from orchestration.kubeflow.commands import kubeflow
from settings.config import Config
from settings.errors import ConfigError
from settings.kubernetes import KubernetesSettings

SETTINGS = KubernetesSettings.model_validate(
    {"image": "shortlist:1", "nodes": {"Transform": {"volumes": [{"claim": "warehouse", "path": "/data"}]}}}
)
PREFIX = "/api/v1/namespaces/shortlist/"
CLAIM, ACCOUNT = PREFIX + "persistentvolumeclaims/", PREFIX + "serviceaccounts/"


class Api:
    """An API server that answers GET with what it holds, 404 else, or with one status for all."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.asked: list[str] = []
        self.status: int | None = None
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                self.send_response(api.status or (200 if self.path in api.held else 404))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


def use(monkeypatch: pytest.MonkeyPatch, folder: Path, address: str) -> None:
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": address}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(path))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    server = Api()
    use(monkeypatch, tmp_path, f"http://127.0.0.1:{server.http.server_port}")
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_a_cluster_that_holds_everything_is_taken_and_no_secret_is_read(api: Api) -> None:
    api.held = {CLAIM + "shortlist-runs", CLAIM + "warehouse", ACCOUNT + "shortlist-node"}
    assert check_cluster(SETTINGS, SETTINGS.nodes) is None
    assert set(api.asked) == api.held


def test_every_missing_claim_is_named_before_a_pod_waits_for_it(api: Api) -> None:
    api.held = {CLAIM + "shortlist-runs"}
    with pytest.raises(ConfigError, match="no PersistentVolumeClaim warehouse, no ServiceAccount shortlist-node"):
        check_cluster(SETTINGS, SETTINGS.nodes)


@pytest.fixture
def options(config: Config, tmp_path: Path) -> list[str]:
    path, cluster = tmp_path / "config.yaml", tmp_path / "cluster.yaml"
    path.write_text(config.to_json())
    cluster.write_text(SETTINGS.model_dump_json())
    return ["--config", str(path), "--cluster", str(cluster)]


@pytest.mark.parametrize("words", [["submit"], ["schedule", "--cron", "0 3 * * *"], ["job"]])
def test_what_is_missing_is_named_before_anything_is_submitted(api: Api, options: list[str], words: list[str]) -> None:
    refused = CliRunner().invoke(kubeflow, [*words, *options])
    assert "no PersistentVolumeClaim shortlist-runs" in str(refused.exception)
    assert refused.stdout == ""


def test_a_job_asks_for_its_own_claims_alone(api: Api, options: list[str]) -> None:
    api.held = {CLAIM + "shortlist-runs", ACCOUNT + "shortlist-node"}  # the warehouse is Transform's, under Kubeflow
    assert "kind: Job" in CliRunner().invoke(kubeflow, ["job", *options]).stdout


def test_who_may_not_look_is_told_that_nothing_was_checked(api: Api) -> None:
    api.status = 403
    assert "Forbidden" in str(check_cluster(SETTINGS, SETTINGS.nodes))


def test_no_kubeconfig_or_no_answer_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert check_cluster(SETTINGS, SETTINGS.nodes) == "there is no kubeconfig"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        use(monkeypatch, tmp_path, f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert "shortlist-runs could not be asked for" in str(check_cluster(SETTINGS, SETTINGS.nodes))
