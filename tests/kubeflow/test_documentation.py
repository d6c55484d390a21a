"""docs/kubernetes.md: its commands, as they stand there, on a server that checks requests and on real manifests."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.command_line import main
from orchestration.kubeflow.graph import Graph
from tests.kubeflow.fake_api_server import FakeApiServer
from tests.kubeflow.test_manifests import BUILDS

REPOSITORY = Path(__file__).resolve().parents[2]
_, *BLOCKS = re.split(r"\n\n(?=    \S)", (REPOSITORY / "docs/kubernetes.md").read_text())
LINES = "\n".join(block.partition("\n\n")[0] for block in BLOCKS).replace("\\\n", " ").splitlines()
COMMANDS = [line.partition("  #")[0].split(" | ")[0].strip() for line in LINES]


def test_the_project_commands_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph({"Transform": (), "Trainer": ("Transform",)})  # the nodes that prod.yaml names
    monkeypatch.setattr("orchestration.kubeflow.representation.shape", lambda _: graph)
    monkeypatch.setattr("orchestration.kubeflow.job_status.job_statuses", lambda *_: [])  # see test_job_status
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "configs", "configs")
    shutil.copytree(REPOSITORY / "kubernetes/clusters", "kubernetes/clusters")
    cluster = Path("kubernetes/clusters/prod.yaml")
    cluster.write_text(cluster.read_text().replace("sha256:" + "0" * 64, "sha256:" + "1" * 64))  # as step 1 says
    (options,) = (line.removeprefix("options=").strip('"') for line in COMMANDS if line.startswith("options="))
    server = FakeApiServer()
    ran = []
    try:
        for command in COMMANDS:
            if command.startswith("python pipeline.py"):
                text = command.replace("$options", options).replace("http://localhost:8888", server.host)
                words = shlex.split(text.replace("RUN_ID", "run_id-1"))[2:]
                done = CliRunner().invoke(main, words)
                assert done.exit_code == 0, f"{command}: {done.output}"
                ran.append(words[1])
    finally:
        server.close()
    assert {"job", "job-status", "compile", "submit", "schedule", "runs", "cancel"} <= set(ran)


def test_what_is_applied_is_what_the_manifests_tests_build() -> None:
    applied = [command.split()[-1] for command in COMMANDS if command.startswith("kubectl apply -k")]
    assert applied
    assert {Path(folder).relative_to("kubernetes").as_posix() for folder in applied} <= set(BUILDS)
