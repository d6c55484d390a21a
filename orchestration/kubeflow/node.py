"""Run one node of a compiled pipeline: what each pod calls.

`python -m orchestration.kubeflow.node --ir /shortlist/runs/<run>/pipeline.json --node Trainer --run-id <run> ...`

The node goes through TFX's own launcher, so that caching, resolvers, conditionals and custom drivers behave as they do
in a local run. Its exit code is that of the error, as on the command line (see `settings.errors`).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from orchestration.events import NodeEvent, State
from orchestration.kubeflow import representation
from orchestration.kubeflow.ending import leave
from orchestration.kubeflow.metadata_store import connection_config, metadata
from orchestration.kubeflow.run_folder import RunFolder
from settings.errors import ConfigError

LOG = logging.getLogger("shortlist.node")


def run_node(ir: Any, node_id: str, run_id: str, store: Any, listener: Callable[[NodeEvent], None]) -> State:
    """Run one node to its end and return how it ended: `complete` or `cached`.

    A node that was killed goes on with the same execution when it is called again for the same run; what the killed
    one had half written is removed first.

    Args:
      ir: the compiled pipeline with its run id filled in.
      node_id: which node.
      run_id: the run; a node that has already succeeded in it is not run again.
      store: `tfx.orchestration.metadata.Metadata`.
      listener: hears of the node's start and end.

    Raises:
      ConfigError: the pipeline has no such node.
      Exception: whatever the component raised; also where TFX would record it and go on.
    """
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher

    from orchestration.node_launcher import observed

    deployment = runner_utils.extract_local_deployment_config(ir)
    node = _node(ir, node_id)
    _remove_leftovers(ir, node, run_id, store)
    last = NodeEvent(node_id, "running")

    def hear(event: NodeEvent) -> None:
        nonlocal last
        last = event
        listener(event)

    with observed(hear):
        launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=store,
            pipeline_info=ir.pipeline_info,
            pipeline_runtime_spec=ir.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
        ).launch()
    return last.state


def _node(ir: Any, node_id: str) -> Any:
    nodes = {entry.pipeline_node.node_info.id: entry.pipeline_node for entry in ir.nodes}
    if node_id not in nodes:
        raise ConfigError(
            f"pipeline {ir.pipeline_info.id}: has no node {node_id!r}. Expected one of {', '.join(nodes)}"
        )
    return nodes[node_id]


def _executions(store: Any, node_id: str, run_id: str, pipeline: str) -> list[Any]:
    """Return the node's executions in this run, oldest first."""
    with store as handle:
        context = handle.store.get_context_by_type_and_name("pipeline_run", run_id)
        node = handle.store.get_context_by_type_and_name("node", f"{pipeline}.{node_id}")
        if context is None or node is None:
            return []
        of_node = {execution.id for execution in handle.store.get_executions_by_context(node.id)}
        found = handle.store.get_executions_by_context(context.id)
    return sorted((execution for execution in found if execution.id in of_node), key=lambda execution: execution.id)


def _remove_leftovers(ir: Any, node: Any, run_id: str, store: Any) -> None:
    """Remove the outputs of a killed attempt; its stateful folder stays, training goes on from a checkpoint there."""
    from tfx.dsl.io import fileio
    from tfx.orchestration.portable.mlmd.execution_lib import is_execution_successful

    root = ir.runtime_spec.pipeline_root.field_value.string_value
    for execution in _executions(store, node.node_info.id, run_id, ir.pipeline_info.id):
        if is_execution_successful(execution):
            continue
        for key in node.outputs.outputs:
            folder = f"{root}/{node.node_info.id}/{key}/{execution.id}"
            if fileio.exists(folder):
                LOG.warning("removing %s, left by an attempt that did not end", folder)
                fileio.rmtree(folder)


@click.command()
@click.option("--ir", required=True, help="Path of the compiled pipeline.")
@click.option("--node", "node_id", required=True, help="Node id.")
@click.option("--run-id", required=True, help="Run that the node belongs to.")
@click.option("--metadata", "url", required=True, help="Metadata store, without a password.")
@click.option("--password-file", help="File that holds the metadata store's password.")
@click.option("--patience", default=120.0, show_default=True, help="Seconds to wait for the metadata store.")
def main(ir: str, node_id: str, run_id: str, url: str, password_file: str | None, patience: float) -> None:
    """Run one node of a compiled pipeline."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    started = time.monotonic()
    folder = RunFolder(Path(ir).parent)
    try:
        folder.write_event(NodeEvent(node_id, "running"))
        store = metadata(connection_config(url, password_file), patience)
        state = run_node(representation.read(ir, run_id), node_id, run_id, store, folder.write_event)
    except Exception as error:
        folder.write_event(NodeEvent(node_id, "failed", time.monotonic() - started, error))
        LOG.exception("node %s failed after %.1f s", node_id, time.monotonic() - started)
        leave(node_id, error)
    print(f"shortlist: {node_id}: {state} after {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
