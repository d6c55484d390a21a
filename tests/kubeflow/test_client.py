"""The real kfp client against a server that checks what it is asked."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.kubeflow.client import Kubeflow, KubeflowError, check_parameters
from orchestration.kubeflow.containers import Containers
from orchestration.kubeflow.kfp_pipeline import write_package
from settings.config import Config
from settings.errors import ConfigError
from tests.kubeflow.fake_api_server import FakeApiServer

PARAMETERS = {"overrides": ["training.epochs=3"], "data_path": ""}


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    fake = FakeApiServer()
    yield fake
    fake.close()


@pytest.fixture
def package(containers: Containers, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    write_package(containers, path)
    return path


def test_a_run_is_submitted_with_its_parameters_version_and_service_account(
    server: FakeApiServer, package: Path
) -> None:
    done = Kubeflow(server.host).submit(package, "tiny", PARAMETERS, "shortlist-node")
    assert done.created
    (body,) = server.posts("/runs")
    assert body["runtime_config"]["parameters"]["overrides"] == ["training.epochs=3"]
    assert body["service_account"] == "shortlist-node"
    assert body["pipeline_version_reference"]["pipeline_version_id"] == "pipeline_version_id-1"
    assert re.fullmatch(r"tiny-[0-9a-f]{12}-[0-9a-f]{8}", body["display_name"])
    (uploaded,) = server.posts("/upload_version")
    assert b"schemaVersion: 2.1.0" in uploaded
    assert b"platforms:" in uploaded  # node selectors and claims travel along


def test_the_same_version_twice_changes_nothing(server: FakeApiServer, package: Path) -> None:
    first = Kubeflow(server.host).submit(package, "tiny", PARAMETERS)
    second = Kubeflow(server.host).submit(package, "tiny", PARAMETERS)
    assert (second.id, second.created) == (first.id, False)
    assert (len(server.runs), len(server.versions), len(server.pipelines)) == (1, 1, 1)
    other = Kubeflow(server.host).submit(package, "tiny", {"overrides": [], "data_path": ""})
    assert other.created
    assert (len(server.runs), len(server.versions)) == (2, 1)


def test_a_run_that_has_ended_is_no_obstacle(server: FakeApiServer, package: Path) -> None:
    first = Kubeflow(server.host).submit(package, "tiny", PARAMETERS)
    server.runs[0]["state"] = "SUCCEEDED"
    assert Kubeflow(server.host).submit(package, "tiny", PARAMETERS).id != first.id


def test_a_schedule_neither_overlaps_nor_catches_up_and_takes_the_old_ones_place(
    server: FakeApiServer, package: Path
) -> None:
    kubeflow = Kubeflow(server.host)
    first = kubeflow.schedule(package, "tiny", "0 3 * * *", PARAMETERS)
    (body,) = server.posts("/recurringruns")
    assert body["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"  # Kubeflow counts seconds too
    assert int(body["max_concurrency"]) == 1
    assert body["no_catchup"] is True
    again = kubeflow.schedule(package, "tiny", "0 3 * * *", PARAMETERS)
    assert (again.id, again.created) == (first.id, False)
    kubeflow.schedule(package, "tiny", "30 4 * * *", PARAMETERS)
    assert [schedule["status"] for schedule in server.schedules] == ["DISABLED", "ENABLED"]


def test_runs_are_listed_newest_first_and_can_be_cancelled(server: FakeApiServer, package: Path) -> None:
    kubeflow = Kubeflow(server.host)
    kubeflow.submit(package, "tiny", PARAMETERS)
    kubeflow.submit(package, "tiny", {})
    assert [run.run_id for run in kubeflow.runs("tiny")] == ["run_id-2", "run_id-1"]
    kubeflow.cancel("run_id-1")
    assert server.runs[0]["state"] == "CANCELED"
    with pytest.raises(KubeflowError, match="404: Run run_id-9 not found"):
        kubeflow.cancel("run_id-9")


def test_an_unreachable_server_is_named_with_what_to_do() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(KubeflowError, match=rf"{host}.*port-forward"):
        Kubeflow(host)


def test_nothing_is_sent_when_package_schedule_or_parameters_are_wrong(
    server: FakeApiServer, package: Path, config: Config
) -> None:
    kubeflow = Kubeflow(server.host)
    asked = len(server.requests)
    with pytest.raises(ConfigError, match="five fields"):
        kubeflow.schedule(package, "tiny", "nightly", {})
    package.write_text(package.read_text().replace("- numbers\n", "- nobody\n"))
    with pytest.raises(ConfigError, match="doubler waits for nobody"):
        kubeflow.submit(package, "tiny", {})
    assert len(server.requests) == asked
    with pytest.raises(ConfigError, match="epochs"):
        check_parameters({"overrides": ["training.epochs=many"]}, config.to_json())
