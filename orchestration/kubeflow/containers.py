"""The containers of a run: the same command lines for Kubeflow Pipelines and for plain Jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestration.kubeflow import representation
from orchestration.kubeflow.graph import Graph
from settings.config import Config
from settings.kubernetes import KubernetesSettings

PREPARE = "Prepare"
# The root file system is read-only: whatever a library wants to write goes to /tmp.
ENVIRONMENT = {
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "MPLCONFIGDIR": "/tmp/matplotlib",
    "PYTHONUNBUFFERED": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


@dataclass(frozen=True)
class RunParameters:
    """The run's parameters as they stand on a command line: literal text, or placeholders that a backend fills in."""

    run_id: Any
    overrides: Any = "[]"
    model: Any = ""
    data_path: Any = ""
    enable_cache: Any = "true"


@dataclass(frozen=True)
class Containers:
    """Command lines of one configuration's run.

    Args:
      config: what the run does.
      settings: where it does it.
      graph: the pipeline's shape.
      factory: dotted path of the function that makes the pipeline.
    """

    config: Config
    settings: KubernetesSettings
    graph: Graph
    factory: str = field(default=representation.PIPELINE)

    @property
    def output_root(self) -> str:
        """Folder of artifacts, run records and served versions, as the containers see it."""
        return self.settings.output_root.path

    def prepare(self, run: RunParameters) -> list[Any]:
        """Return the command of the first step, which compiles the pipeline."""
        command = [
            *_module("prepare"),
            "--config",
            self.config.to_json(),
            "--overrides",
            run.overrides,
            "--model",
            run.model,
            "--data-path",
            run.data_path,
            "--enable-cache",
            run.enable_cache,
            "--output-root",
            self.output_root,
            "--run-id",
            run.run_id,
            "--shape",
            self.graph.digest(),
            "--factory",
            self.factory,
        ]
        return [*command, "--pipeline-root", self.settings.pipeline_root] if self.settings.pipeline_root else command

    def node(self, node_id: str, run: RunParameters) -> list[Any]:
        """Return the command of one node."""
        return [*_module("node"), *self._compiled(run), "--node", node_id, *self._store()]

    def report(self, run: RunParameters) -> list[Any]:
        """Return the command of the last step, which tells how the run ended."""
        return [*_module("report"), *self._compiled(run), *self._store()]

    def _compiled(self, run: RunParameters) -> list[Any]:
        return ["--ir", f"{self.output_root}/runs/{run.run_id}/pipeline.json", "--run-id", run.run_id]

    def _store(self) -> list[str]:
        store = self.settings.metadata
        words = ["--metadata", store.url, "--patience", str(store.patience_seconds)]
        return [*words, "--password-file", store.password_file] if store.password_file else words


def _module(name: str) -> list[Any]:
    return ["python", "-m", f"orchestration.kubeflow.{name}"]
