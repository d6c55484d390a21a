"""What a Kubeflow Pipelines backend does with a compiled package, with processes in place of pods.

It reads nothing but the YAML. Parameters go down the nested DAGs as the KFP driver sends them, placeholders are filled
in as the KFP launcher does (text as it is, everything else as JSON), a task starts when those it waits for have ended
well, a failed one is tried again as often as its retry policy says, and an exit task runs in any case.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
Start = Callable[[list[str], Mapping[str, str]], tuple[int, str]]


@dataclass(frozen=True)
class Attempt:
    """One process: its command, exit code and what it printed."""

    command: tuple[str, ...]
    exit_code: int
    output: str


@dataclass
class Run:
    """Every attempt of every task, in the order of their first start."""

    run_id: str
    folder: Path
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)

    @property
    def exit_codes(self) -> dict[str, int]:
        return {task: attempts[-1].exit_code for task, attempts in self.attempts.items()}

    def artifact(self, task: str, name: str) -> Path:
        return self.folder / task / name

    def output(self, task: str) -> str:
        return "".join(attempt.output for attempt in self.attempts[task])


class StandIn:
    """A backend for one compiled package.

    Args:
      package: compiled KFP 2 YAML.
      folder: where output artifacts go.
      environment: added to each process's environment.
      start: runs one command with variables; returns exit code and output.
    """

    def __init__(self, package: Path, folder: Path, environment: Mapping[str, str], start: Start) -> None:
        self.spec: dict[str, Any] = next(yaml.safe_load_all(package.read_text()))
        self.folder = folder
        self.environment = dict(environment)
        self.start = start

    def run(self, run_id: str, **parameters: Any) -> Run:
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        assert set(parameters) <= set(declared), f"the API server refuses {set(parameters) - set(declared)}"
        values = {name: record.get("defaultValue") for name, record in declared.items()} | parameters
        run = Run(run_id, self.folder / run_id)
        self._dag(self.spec["root"]["dag"], values, run)
        return run

    def _dag(self, dag: dict[str, Any], values: dict[str, Any], run: Run) -> bool:
        tasks = dag["tasks"]
        good: dict[str, bool] = {}
        waits_for = {task: body.get("dependentTasks", []) for task, body in tasks.items()}
        for name in TopologicalSorter(waits_for).static_order():
            body = tasks[name]
            always = body.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            if always or all(good[upstream] for upstream in body.get("dependentTasks", [])):
                good[name] = self._task(name, body, values, run)
            else:
                good[name] = False
        return all(good.values())

    def _task(self, name: str, body: dict[str, Any], values: dict[str, Any], run: Run) -> bool:
        component = self.spec["components"][body["componentRef"]["name"]]
        inputs = {
            parameter: self._input(source, values, run)
            for parameter, source in body.get("inputs", {}).get("parameters", {}).items()
        }
        if "dag" in component:
            return self._dag(component["dag"], inputs, run)
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        artifacts = component.get("outputDefinitions", {}).get("artifacts", {})
        words = [self._fill(word, name, inputs, artifacts, run) for word in container["command"]]
        for _ in range(1 + int(body.get("retryPolicy", {}).get("maxRetryCount", 0))):
            attempt = self._process(words, container.get("env", []))
            run.attempts.setdefault(name, []).append(attempt)
            if attempt.exit_code == 0:
                return True
        return False

    @staticmethod
    def _input(source: dict[str, Any], values: dict[str, Any], run: Run) -> Any:
        if "componentInputParameter" in source:
            return values[source["componentInputParameter"]]
        constant = source["runtimeValue"]["constant"]
        return run.run_id if constant == "{{$.pipeline_job_uuid}}" else constant

    @staticmethod
    def _fill(word: str, task: str, inputs: dict[str, Any], artifacts: dict[str, Any], run: Run) -> str:
        for name, value in inputs.items():
            text = value if isinstance(value, str) else json.dumps(value)
            word = word.replace(f"{{{{$.inputs.parameters['{name}']}}}}", text)
        for name in artifacts:
            run.artifact(task, name).parent.mkdir(parents=True, exist_ok=True)
            word = word.replace(f"{{{{$.outputs.artifacts['{name}'].path}}}}", str(run.artifact(task, name)))
        executor_input = {
            "inputs": {"parameterValues": inputs},
            "outputs": {
                "artifacts": {
                    name: {"artifacts": [{"name": name, "uri": f"minio://mlpipeline/{run.run_id}/{name}"}]}
                    for name in artifacts
                },
                "outputFile": str(run.folder / task / "executor_output.json"),
            },
        }
        return word.replace("{{$}}", json.dumps(executor_input))

    def _process(self, words: list[str], variables: list[dict[str, str]]) -> Attempt:
        assert "{{" not in "".join(words), f"a placeholder was left: {words}"
        environment = {variable["name"]: variable["value"] for variable in variables} | self.environment
        return Attempt(tuple(words), *self.start(words, environment))


def cold(words: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command as a process of its own; return exit code and output."""
    done = subprocess.run(
        words,
        cwd=REPOSITORY,
        env={**os.environ, **environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


class FirstCold:
    """Runs the first command of each module cold, as pods do it, and the rest warm: each cold one loads TFX anew."""

    def __init__(self, warm: Start) -> None:
        self._warm = warm
        self.cold: set[str] = set()

    def __call__(self, words: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
        module = words[2]
        if module in self.cold:
            return self._warm(words, environment)
        self.cold.add(module)
        return cold(words, environment)


class Warm:
    """Runs commands as `cold` does, forked from a process that has loaded TFX; see `warm_pods`."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "output"
        self._server = subprocess.Popen(
            [sys.executable, "tests/kubeflow/warm_pods.py"],
            cwd=REPOSITORY,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._answer() == "ready"

    def __call__(self, words: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
        assert self._server.stdin is not None
        request = {"command": words, "environment": environment, "output": str(self._output)}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = int(self._answer())
        return code, self._output.read_text()

    def close(self) -> None:
        self._server.communicate(timeout=30)

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()
