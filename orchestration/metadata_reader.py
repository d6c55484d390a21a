"""What the metadata store knows about one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

_Execution = metadata_store_pb2.Execution
_Event = metadata_store_pb2.Event
_OUTPUT_EVENTS = (_Event.OUTPUT, _Event.INTERNAL_OUTPUT, _Event.DECLARED_OUTPUT)


@dataclass(frozen=True)
class StoredArtifact:
    """One output: where it is, and its custom properties."""

    uri: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class StoredExecution:
    """One node's execution in one run; `state` is `complete`, `cached`, `failed` or `running`."""

    state: str
    seconds: float
    outputs: Mapping[str, tuple[StoredArtifact, ...]] = field(default_factory=dict)


def read_executions(connection: Any, run_id: str) -> dict[str, StoredExecution]:
    """Return the executions of a run by node id; none where the store has never heard of the run.

    Args:
      connection: the pipeline's `metadata_connection_config`.
      run_id: name of the run.
    """
    store = metadata_store.MetadataStore(connection)
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return {}
    found = {}
    # A node that was tried again counts by its last execution, in whichever order the database answers.
    for execution in sorted(store.get_executions_by_context(context.id), key=lambda execution: execution.id):
        node = next((c.name for c in store.get_contexts_by_execution(execution.id) if c.type == "node"), None)
        if node is not None:
            found[node.rpartition(".")[2]] = StoredExecution(
                state=_state(execution.last_known_state),
                seconds=(execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000,
                outputs=_outputs(store, execution.id),
            )
    return found


def _state(state: int) -> str:
    names = {_Execution.COMPLETE: "complete", _Execution.CACHED: "cached", _Execution.RUNNING: "running"}
    return names.get(state, "failed")


def _outputs(store: Any, execution_id: int) -> dict[str, tuple[StoredArtifact, ...]]:
    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in store.get_events_by_execution_ids([execution_id])
        if event.type in _OUTPUT_EVENTS and event.path.steps
    }
    outputs: dict[str, tuple[StoredArtifact, ...]] = {}
    for artifact in store.get_artifacts_by_id(list(keys)):
        properties = {name: _plain(value) for name, value in artifact.custom_properties.items()}
        stored = StoredArtifact(artifact.uri, properties)
        outputs[keys[artifact.id]] = (*outputs.get(keys[artifact.id], ()), stored)
    return outputs


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
