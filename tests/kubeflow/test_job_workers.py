"""A Job of several pods: what Kubernetes makes of its template, and that such pods train together."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.peers import PEERS_FOLDER, call, dismiss, follow, open_folder
from orchestration.kubeflow import worker
from orchestration.kubeflow.jobs import manifests
from settings.config import Config
from settings.kubernetes import KubernetesSettings


def environment(job: dict[str, Any], index: int) -> dict[str, str]:
    """Return a container's variables as kubelet sets them in the pod of this index."""
    metadata = {
        "metadata.labels['batch.kubernetes.io/job-name']": job["metadata"]["name"],
        "metadata.annotations['batch.kubernetes.io/job-completion-index']": str(index),
    }
    found: dict[str, str] = {}
    for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "valueFrom" in entry:
            found[entry["name"]] = metadata[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            found[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], entry["value"])
    return found


@pytest.fixture
def job(config: Config, settings: KubernetesSettings) -> dict[str, Any]:
    record: dict[str, Any] = manifests(config, settings, workers=3)[1]
    return record


def test_every_pod_gets_the_same_cluster_and_its_own_index(job: dict[str, Any]) -> None:
    name = job["metadata"]["name"]
    assert (job["spec"]["completionMode"], job["spec"]["completions"], job["spec"]["parallelism"]) == ("Indexed", 3, 3)
    # The controller names an Indexed Job's pods NAME-INDEX, and the Service that `subdomain` names makes that a host.
    assert job["spec"]["template"]["spec"]["subdomain"] == "shortlist-workers"
    hosts = [f"{name}-{index}.shortlist-workers:2222" for index in range(3)]
    for index in range(3):
        assert json.loads(environment(job, index)["TF_CONFIG"]) == {
            "cluster": {"worker": hosts},
            "task": {"type": "worker", "index": index},
        }
        assert environment(job, index)[PEERS_FOLDER] == f"/shortlist/workers/{name}"
    assert len(f"{name}-2") <= 63  # a host's name


@pytest.mark.parametrize(("code", "dismissed"), [(0, True), (4, True), (1, False)])
def test_the_first_pod_dismisses_the_others_unless_kubernetes_tries_it_again(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, dismissed: bool
) -> None:
    folder = tmp_path / "workers"
    for name, value in (environment(job, 0) | {PEERS_FOLDER: str(folder)}).items():
        monkeypatch.setenv(name, value)

    def ended() -> None:
        raise SystemExit(code)

    monkeypatch.setattr("orchestration.command_line.main", ended)
    with pytest.raises(SystemExit):
        worker.main()
    assert (folder / "end").exists() is dismissed


def test_another_pod_starts_what_it_is_called_for_once_and_ends_when_dismissed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    begun = threading.Event()

    class Worker:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            assert env["TF_CONFIG"] == "own"
            started.append(command)
            begun.set()

        def kill(self) -> None:
            started.append(["killed"])

        def wait(self) -> None:
            """It is gone already."""

    monkeypatch.setattr("models.peers.subprocess.Popen", Worker)
    pod = threading.Thread(target=follow, args=(tmp_path, {"TF_CONFIG": "own"}, 0.01))
    pod.start()
    for arguments in ("first", "again"):
        begun.clear()
        call(tmp_path, arguments)
        assert begun.wait(10)
    dismiss(tmp_path)
    pod.join(10)
    assert not pod.is_alive()
    assert [command[3] for command in started if "killed" not in command] == ["first", "again"]
    assert started.count(["killed"]) == 2  # the first as the second call came, the second at the end


def losses(folder: Path) -> list[float]:
    history = json.loads((folder / "model_run" / "1" / "history.json").read_text())
    return [epoch["val_loss"] for epoch in history["epochs"]]


@pytest.mark.e2e
def test_two_processes_with_the_variables_of_such_pods_train_what_one_would_have_trained(
    config: Config, settings: KubernetesSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from models.trainer import run_fn
    from models.workers import free_ports
    from tests.models.test_distribution import fn_args
    from tests.models.toy_data import world

    job = manifests(config, settings, workers=2)[1]
    pods = [environment(job, index) for index in range(2)]
    for index, port in enumerate(free_ports(2)):  # the cluster's names, as the machine at hand can resolve them
        host = f"{job['metadata']['name']}-{index}.shortlist-workers:2222"
        for pod in pods:
            pod["TF_CONFIG"] = pod["TF_CONFIG"].replace(host, f"localhost:{port}")
    folder, one, two = tmp_path / "workers", tmp_path / "one", tmp_path / "two"
    open_folder(folder)
    run_fn(fn_args(one))

    other = threading.Thread(target=follow, args=(folder, os.environ | pods[1], 0.1))
    other.start()
    try:
        monkeypatch.setenv("TF_CONFIG", pods[0]["TF_CONFIG"])
        monkeypatch.setenv(PEERS_FOLDER, str(folder))
        run_fn(fn_args(two, workers=2))
    finally:
        dismiss(folder)
        other.join(60)
    assert not (folder / "peer_error.json").exists()
    assert losses(two)[1] < losses(two)[0]
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-4)
    examples = tf.constant(world().serialized("test"))
    alone, together = (
        tf.saved_model.load(str(path / "model" / "serving")).signatures["serving_default"](examples=examples)["scores"]
        for path in (one, two)
    )
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)
