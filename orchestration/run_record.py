"""Builds the summary of a run, also of a failed one, from the metadata store and the artifacts it points to."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.code_revision import code_revision
from orchestration.events import NodeEvent
from orchestration.metadata_reader import StoredArtifact, StoredExecution
from orchestration.verdict import verdict
from reporting.summary import (
    GateRecord,
    LeakageRecord,
    MetricRecord,
    NodeRecord,
    NodeState,
    SplitRecord,
    Summary,
    TrainingRecord,
    TrialRecord,
    TuningRecord,
)
from settings.config import Config


@dataclass
class RunFacts:
    """What the command knows about its run by itself."""

    run_id: str
    runner: str
    config: Config
    started: datetime.datetime
    versions_before: Sequence[int] = ()
    upstream: Mapping[str, Sequence[str]] = field(default_factory=dict)
    events: dict[str, NodeEvent] = field(default_factory=dict)
    metadata: Any = None
    error: BaseException | None = None


def build_summary(facts: RunFacts, executions: Mapping[str, StoredExecution]) -> Summary:
    """Return the summary.

    Args:
      facts: what the command saw. Nodes are listed in the order of `facts.upstream`.
      executions: what the metadata store holds of this run, by node id.
    """
    blessing = _artifact(executions, "Evaluator", "blessing")
    blessed = _flag(blessing, "blessed")
    infra_blessing = _artifact(executions, "InfraValidator", "blessing")
    infra_blessed = _flag(infra_blessing, "blessed")
    pushed = _artifact(executions, "Pusher", "pushed_model")
    destination = pushed.properties.get("pushed_destination") if _flag(pushed, "pushed") and pushed else None
    pushed_path = Path(destination) if destination else None
    failed_node = next((name for name, event in facts.events.items() if event.state == "failed"), None)
    exit_code, error = verdict(
        error=facts.error,
        failed_node=failed_node,
        blessed=blessed,
        infra_blessed=infra_blessed,
        pusher_ran="Pusher" in executions,
        pushed_path=pushed_path,
        infra_reason=(_json(infra_blessing, "infra_check.json") or {}).get("reason"),
    )
    version = int(pushed_path.name) if pushed_path is not None and pushed_path.name.isdigit() else None
    data = _json(_artifact(executions, "ExampleGen", "examples"), "data.json") or {}
    now = datetime.datetime.now(datetime.UTC)
    return Summary(
        run_id=facts.run_id,
        name=facts.config.name,
        runner=facts.runner,
        started_at=facts.started.isoformat(timespec="seconds"),
        seconds=round((now - facts.started).total_seconds(), 2),
        config=json.loads(facts.config.to_json()),
        code_revision=code_revision(),
        source=data.get("source"),
        data={name: SplitRecord.model_validate(split) for name, split in data.get("splits", {}).items()},
        quarantined=data.get("quarantined"),
        leakage=LeakageRecord.model_validate(data["leakage"]) if "leakage" in data else None,
        nodes=tuple(_node(name, facts, executions.get(name)) for name in facts.upstream),
        training=_training(executions),
        tuning=_tuning(executions),
        metrics=tuple(MetricRecord.model_validate(row) for row in _json(blessing, "metrics.json") or ()),
        gate=tuple(GateRecord.model_validate(row) for row in _json(blessing, "gate.json") or ()),
        blessed=blessed,
        infra_blessed=infra_blessed,
        pushed_path=None if pushed_path is None else str(pushed_path),
        version=version,
        newly_pushed=version is not None and version not in facts.versions_before,
        exit_code=exit_code,
        error=error,
    )


def _node(name: str, facts: RunFacts, execution: StoredExecution | None) -> NodeRecord:
    event = facts.events.get(name)
    state: NodeState
    if event is None:
        state = "not_run" if execution is None else "reused"
    elif event.state == "complete":
        state = "complete"
    elif event.state == "cached":
        state = "cached"
    else:
        state = "failed"
    return NodeRecord(
        name=name,
        state=state,
        seconds=round(event.seconds, 3) if event else 0.0,
        cached=state in {"cached", "reused"},
        upstream=tuple(facts.upstream[name]),
        outputs={
            key: tuple(artifact.uri for artifact in artifacts)
            for key, artifacts in sorted((execution.outputs if execution else {}).items())
        },
    )


def _training(executions: Mapping[str, StoredExecution]) -> TrainingRecord | None:
    history = _json(_artifact(executions, "Trainer", "model_run"), "history.json")
    return None if history is None else TrainingRecord.model_validate(history)


def _tuning(executions: Mapping[str, StoredExecution]) -> TuningRecord | None:
    rows = _json(_artifact(executions, "Tuner", "tuner_results"), "tuner_results.json")
    if not rows:
        return None
    trials = (
        TrialRecord(loss=row["score"], values={key: value for key, value in row.items() if "." in key}) for row in rows
    )
    return TuningRecord(trials=tuple(trials))


def _artifact(executions: Mapping[str, StoredExecution], node: str, key: str) -> StoredArtifact | None:
    execution = executions.get(node)
    if execution is None or execution.state == "failed":
        return None
    artifacts = execution.outputs.get(key, ())
    return artifacts[-1] if artifacts else None


def _flag(artifact: StoredArtifact | None, name: str) -> bool | None:
    value = None if artifact is None else artifact.properties.get(name)
    return None if value is None else bool(value)


def _json(artifact: StoredArtifact | None, name: str) -> Any:
    """Return a JSON file of an artifact; None where there is no such file."""
    path = None if artifact is None else Path(artifact.uri) / name
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else None
