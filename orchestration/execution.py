"""One run from start to record: lock, log, DAG, nodes, summary, page."""

from __future__ import annotations

import datetime
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from datasets.beam_workers import dead_workers_raise
from orchestration.events import NodeEvent
from orchestration.failure import find_error
from orchestration.log_capture import captured
from orchestration.node_order import reading_order, selected
from orchestration.output_root import OutputRoot
from orchestration.progress import Progress, shown
from orchestration.run_record import RunFacts, build_summary
from reporting import summary as summaries
from reporting.run_tables import print_run
from settings.config import Config
from settings.errors import ConfigError

_log = logging.getLogger("shortlist")
_REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class RunRequest:
    """What one call of `run` asks for."""

    config: Config
    output_root: Path
    runner: str = "local"
    from_node: str | None = None
    to_node: str | None = None
    use_cache: bool = True
    verbose: bool = False


def execute(request: RunRequest, create_pipeline: Any, replay: str = "") -> summaries.Summary:
    """Run the pipeline, print progress and outcome, and leave summary, page and log in the run's folder.

    Args:
      request: what to run.
      create_pipeline: `(config, output_root, enable_cache) -> tfx Pipeline`; called once TFX may be imported.
      replay: options that reach the same configuration, for the commands that the report suggests.

    Returns:
      the summary, whose `exit_code` the command ends with. A failure inside the run is in it, not raised.

    Raises:
      ShortlistError: the run could not even start: the output root is in use or cannot be written.
    """
    started = datetime.datetime.now(datetime.UTC)
    root = OutputRoot(request.output_root.resolve())
    if (request.from_node is not None) and not root.metadata.exists():
        raise ConfigError(
            f"--from-node {request.from_node}: {request.output_root} holds no earlier run whose outputs could be "
            "taken for the nodes before it. Run once without --from-node"
        )
    with root.new_run(started) as folder, captured(folder / "log.txt", request.verbose) as terminal:
        facts = RunFacts(folder.name, request.runner, request.config, started, root.versions(request.config.name))
        errors, out = Console(file=terminal.err), Console(file=terminal.out)
        title = f"Shortlist: {request.config.name}, run {folder.name}, {request.runner} runner"
        try:
            with shown(errors, title, plain=request.verbose) as progress, _terminable(), dead_workers_raise():
                _run_nodes(request, root, facts, progress, create_pipeline)
        except BaseException as error:
            _log.exception("the run failed")
            facts.error = _cause(error, facts)
        summary = _record(facts, folder, errors)
        print_run(summary, folder, request.output_root, out, errors, replay)
    return summary


def _run_nodes(
    request: RunRequest, root: OutputRoot, facts: RunFacts, progress: Progress, create_pipeline: Any
) -> None:
    """Run all nodes; keep in `facts` what becomes known on the way."""
    progress.stage("loading TensorFlow and TFX (about 20 s)")
    _make_importable()
    from orchestration.runners import run_pipeline

    progress.stage("reading the input and building the pipeline")
    pipeline = create_pipeline(request.config, root.path, request.use_cache)
    upstream = {node.id: [source.id for source in node.upstream_nodes] for node in pipeline.components}
    order = reading_order(upstream)
    facts.upstream = {node: sorted(upstream[node], key=order.index) for node in order}
    facts.metadata = pipeline.metadata_connection_config
    progress.stage("")
    progress.expect(selected(facts.upstream, request.from_node, request.to_node))

    def hear(event: NodeEvent) -> None:
        facts.events[event.node] = event
        progress.node(event)

    run_pipeline(pipeline, request.runner, facts.run_id, hear, request.from_node, request.to_node)


def _record(facts: RunFacts, folder: Path, console: Console) -> summaries.Summary:
    """Write summary and page; a page that fails takes nothing else with it."""
    executions = {}
    if facts.metadata is not None:
        from orchestration.metadata_reader import read_executions

        executions = read_executions(facts.metadata, facts.run_id)
    summary = build_summary(facts, executions)
    summaries.write(summary, folder / "summary.json")
    try:
        from reporting.model_card import write_card
        from reporting.page import write_page

        write_page(summary, folder / "page.html")
        write_card(summary, folder)
    except Exception as error:
        _log.exception("the page could not be written")
        console.print(f"page.html could not be written: {error}", style="yellow", markup=False)
    return summary


def _cause(error: BaseException, facts: RunFacts) -> BaseException:
    """Return what the failed node raised, before a runner wrapped it; outside the nodes the error itself."""
    raised = next((event.error for event in facts.events.values() if event.error is not None), error)
    return find_error(raised) or raised


def _make_importable() -> None:
    """Let child processes (Beam workers, the infra validator) find this repository wherever the command was called."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(_REPOSITORY) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_REPOSITORY), *filter(None, known)])
    if str(_REPOSITORY) not in sys.path:
        sys.path.insert(0, str(_REPOSITORY))


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn a polite kill, as schedulers send, into an interrupt: the record is then still written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
