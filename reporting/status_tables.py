"""The list of runs, and one run's nodes, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reporting.comparison import headline, number
from reporting.durations import clock
from reporting.outcome import outcome
from reporting.run_entry import RunEntry
from reporting.summary import NodeState, Summary
from reporting.terminal import console

_TONES = {"good": "green", "warning": "yellow", "bad": "red"}
_STATES: dict[NodeState, tuple[str, str]] = {
    "complete": ("✓ done", "green"),
    "cached": ("≡ cached", "cyan"),
    "reused": ("≡ reused", "cyan"),
    "failed": ("✗ failed", "bold red"),
    "not_run": ("· not run", "dim"),
}


def print_status(runs: Sequence[RunEntry], shown: RunEntry | None, total: int, output_root: str) -> None:
    """Print the runs and the nodes of one of them.

    Args:
      runs: newest first.
      shown: the run whose nodes to print.
      total: how many runs there are.
      output_root: as the user wrote it.
    """
    out = console()
    if not runs:
        out.print(
            f"No runs in {output_root}/runs. Make one: python pipeline.py run --config CONFIG",
            highlight=False,
            soft_wrap=True,
        )
        return
    out.print(_runs_table(runs))
    if total > len(runs):
        out.print(f"{total - len(runs)} older runs: --last {total}", style="dim", highlight=False)
    if shown is not None and shown.summary is not None:
        out.print(_nodes_table(shown.summary))
        page = f"{output_root}/runs/{shown.run_id}/page.html"
        out.print(f"{outcome(shown.summary).sentence}\nPage: {page}", highlight=False, soft_wrap=True, markup=False)


def _runs_table(runs: Sequence[RunEntry]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("run (UTC)", "name", "model", "nodes", "time", "metric", "blessed", "outcome"):
        right = heading in ("time", "metric")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading not in ("outcome", "nodes"))
    for run in runs:
        if run.summary is None:
            table.add_row(run.run_id, *[""] * 6, Text(run.state, "cyan" if run.state == "running" else "yellow"))
        else:
            table.add_row(run.run_id, *_cells(run.summary))
    return table


def _cells(summary: Summary) -> tuple[str | Text, ...]:
    metric = headline(summary)
    row = summary.metric(metric) if metric else None
    end = outcome(summary)
    blessed = {True: "yes", False: "no", None: "-"}[summary.blessed]
    cached = sum(node.cached for node in summary.nodes)
    ran = sum(node.state == "complete" for node in summary.nodes)
    return (
        summary.name,
        str(summary.config.get("model", {}).get("name", "-")),
        f"{ran} run, {cached} cached" if summary.nodes else "-",
        clock(summary.seconds),
        f"{row.name} {number(row.value)}" if row else "-",
        blessed,
        Text(end.title, _TONES[end.tone]),
    )


def _nodes_table(summary: Summary) -> Table:
    title = f"Nodes of run {escape(summary.run_id)} ({summary.runner} runner)"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("node")
    table.add_column("state", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for node in summary.nodes:
        label, style = _STATES[node.state]
        table.add_row(node.name, Text(label, style), clock(node.seconds) if node.state != "not_run" else "")
    return table
