"""The runners on this machine: TFX's own, given our run id and a pinned in-process Beam."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apache_beam.options.pipeline_options import StandardOptions
from tfx.dsl.compiler import constants
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline, RunOptions
from tfx.orchestration.portable import runtime_parameter_utils

from orchestration.events import Listener, NodeEvent
from orchestration.node_launcher import observed
from settings.errors import ConfigError

_RUNNERS = {"local": LocalDagRunner, "beam": BeamDagRunner}


def run_pipeline(
    pipeline: Pipeline,
    runner: str,
    run_id: str,
    listener: Listener,
    from_node: str | None = None,
    to_node: str | None = None,
) -> None:
    """Run a pipeline to its end; return when every node went through.

    Args:
      pipeline: the DAG.
      runner: `local` or `beam`.
      run_id: name of the run in the metadata store.
      listener: hears each node's start and end, from whichever thread runs it.
      from_node: first node to run; earlier ones lend the outputs of their last success.
      to_node: last node to run.

    Raises:
      ConfigError: a node outside the asked part never ran, so there are no outputs to take from it.
      Exception: whatever a node raised, wrapped as the runner pleases; see `orchestration.failure.find_error`.
    """
    options = None
    if from_node or to_node:
        options = RunOptions(from_nodes=[from_node] if from_node else None, to_nodes=[to_node] if to_node else None)
    started: list[str] = []

    def hear(event: NodeEvent) -> None:
        started.append(event.node)
        listener(event)

    with observed(hear), _in_process_beam():
        try:
            _named(_RUNNERS[runner], run_id).run(pipeline, run_options=options)
        except LookupError as error:
            # Raised while TFX collects the outputs of the nodes left out; afterwards it would be a node's own.
            if options is None or started:
                raise
            raise ConfigError(
                f"--from-node {from_node}: a node that is left out has no earlier success to take outputs from "
                f"({_first_line(error)}). Run once without --from-node"
            ) from error


def _first_line(error: BaseException) -> str:
    return str(error.args[0] if error.args else error).partition(" [while running")[0].partition("\n")[0]


def _named(stock: type[Any], run_id: str) -> Any:
    """Return a stock runner whose run gets this id instead of the time of day."""

    class NamedRunner(stock):
        def run_with_ir(self, pipeline: Any, run_options: Any = None) -> None:
            with warnings.catch_warnings():
                # TFX walks protos by a deprecated attribute; the warning would be laid at our door.
                warnings.simplefilter("ignore", DeprecationWarning)
                runtime_parameter_utils.substitute_runtime_parameter(
                    pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
                )
            super().run_with_ir(pipeline, run_options=run_options)

    return NamedRunner()


@contextmanager
def _in_process_beam() -> Iterator[None]:
    """Keep BeamDagRunner, which takes no options, from fetching a Go engine where it finds a network."""
    default = StandardOptions.DEFAULT_RUNNER
    StandardOptions.DEFAULT_RUNNER = "FnApiRunner"
    try:
        yield
    finally:
        StandardOptions.DEFAULT_RUNNER = default
