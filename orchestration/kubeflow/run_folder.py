"""What the pods of one run tell each other: small files in `<output root>/runs/<run id>/`.

pipeline.json       the compiled pipeline, written by Prepare
run.json            what the run is: configuration, start, graph
nodes/<node>.json   how each node is doing, written by its own pod
summary.json, page.html    the record, as after a local run, written by Report
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.events import NodeEvent, State
from orchestration.failure import find_error
from orchestration.run_record import RunFacts
from reporting.summary import write_atomically
from settings import errors
from settings.config import Config
from settings.errors import DataError, ShortlistError

RUNNER = "kubeflow"


class PodLostError(ShortlistError):
    """A pod never started, or never told how it ended."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Args:
      path: `<output root>/runs/<run id>`.
    """

    path: Path

    @property
    def pipeline(self) -> Path:
        """The compiled pipeline."""
        return self.path / "pipeline.json"

    @property
    def page(self) -> Path:
        """The run page."""
        return self.path / "page.html"

    def write_run(self, config: Config, upstream: dict[str, tuple[str, ...]], versions_before: list[int]) -> None:
        """Write what the run is; a retry keeps the first start time."""
        started = self._read("run.json").get("started_at") or datetime.datetime.now(datetime.UTC).isoformat()
        record = {
            "started_at": started,
            "config": json.loads(config.to_json()),
            "upstream": upstream,
            "versions_before": versions_before,
        }
        self._write("run.json", record)

    def write_event(self, event: NodeEvent) -> None:
        """Write how a node is doing."""
        record: dict[str, Any] = {"state": event.state, "seconds": event.seconds}
        if event.error is not None:
            own = find_error(event.error)
            record["error"] = type(own or event.error).__name__
            record["message"] = str(own or event.error)
        self._write(f"nodes/{event.node}.json", record)

    def facts(self) -> RunFacts:
        """Return what is known of the run for its record; a pod that vanished counts as failed.

        Raises:
          DataError: Prepare did not get as far as to write anything.
        """
        record = self._read("run.json")
        if not record:
            raise DataError(f"{self.path}: the run left nothing behind: its first step, Prepare, failed; see its log")
        facts = RunFacts(
            run_id=self.path.name,
            runner=RUNNER,
            config=Config.model_validate(record["config"]),
            started=datetime.datetime.fromisoformat(record["started_at"]),
            versions_before=record["versions_before"],
            upstream=record["upstream"],
        )
        for node in facts.upstream:
            event = self._event(node)
            if event is not None:
                facts.events[node] = event
                facts.error = facts.error or event.error
        absent = [node for node in facts.upstream if node not in facts.events]
        if absent and facts.error is None:
            facts.error = PodLostError(
                f"node {absent[0]}: its pod never started. `kubectl describe pod` names the reason: no machine with "
                "what it asks for (FailedScheduling), an image that cannot be pulled, a claim or Secret that is missing"
            )
        return facts

    def _event(self, node: str) -> NodeEvent | None:
        record = self._read(f"nodes/{node}.json")
        if not record:
            return None
        state: State = record["state"]
        error: BaseException | None = None
        if state == "running":
            state, error = (
                "failed",
                PodLostError(
                    f"node {node}: its pod ended without a word. It was killed: for want of memory (exit code 137, "
                    f"OOMKilled: raise kubernetes.nodes.{node}.memory), by its time limit (DeadlineExceeded: raise "
                    f"kubernetes.nodes.{node}.timeout_seconds) or by eviction. `kubectl describe pod` names the reason"
                ),
            )
        elif state == "failed":
            error = _error(record["error"], record["message"])
        return NodeEvent(node, state, record["seconds"], error)

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return record

    def _write(self, name: str, record: dict[str, Any]) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(record, indent=1) + "\n")


def _error(kind: str, message: str) -> BaseException:
    """Return an error of the project's own kind, so that its exit code survives the way through the file."""
    own = getattr(errors, kind, None)
    if isinstance(own, type) and issubclass(own, ShortlistError):
        return own(message)
    return RuntimeError(f"{kind}: {message}")
