"""The closing report of a run in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reporting.comparison import (
    COUNTS,
    change,
    direction,
    headline,
    metric_names,
    number,
    percent,
    slice_count,
    slice_names,
    verdict_of_change,
)
from reporting.durations import clock
from reporting.outcome import next_command, outcome
from reporting.summary import MetricRecord, Summary, TuningRecord
from reporting.terminal import widen

_STYLES = {"good": "bold green", "warning": "bold yellow", "bad": "bold red"}
_MARKS = {"good": "✓", "warning": "!", "bad": "✗"}


def print_run(
    summary: Summary, folder: Path, output_root: Path, out: Console, errors: Console, replay: str = ""
) -> None:
    """Print the outcome of a run.

    Args:
      summary: the run.
      folder: where its summary, page and log are.
      output_root: as the user wrote it.
      out: for the report.
      errors: for the message of a run that failed.
      replay: options that reach the same configuration, for the suggested command.
    """
    widen(out)
    if summary.tuning is not None:
        out.print()
        out.print(tuning_table(summary.tuning))
    if summary.metrics:
        out.print()
        out.print(metrics_table(summary))
        if len(slice_names(summary)) > 1:
            out.print(slices_table(summary))
    if summary.gate:
        out.print(gate_table(summary))
    end = outcome(summary)
    stream = errors if summary.error is not None else out
    stream.print()
    stream.print(Text.assemble((f"{_MARKS[end.tone]} {end.title}", _STYLES[end.tone])))
    stream.print(Text(f"  {end.sentence}"), soft_wrap=True)
    stream.print()
    why, command = next_command(summary, str(output_root), replay)
    cached = sum(node.cached for node in summary.nodes)
    lines = [("time", f"{clock(summary.seconds)}, {cached} of {len(summary.nodes)} nodes cached")]
    if summary.pushed_path is not None:
        lines.append(("served from", summary.pushed_path))
    for label, name in (
        ("page", "page.html"),
        ("model card", "model_card.md"),
        ("summary", "summary.json"),
        ("log", "log.txt"),
    ):
        if (folder / name).exists():
            lines.append((label, str(output_root / "runs" / folder.name / name)))
    for label, value in lines:
        stream.print(Text(f"  {label:<13}{value}"), soft_wrap=True)
    stream.print(Text.assemble(f"\n  {why}:\n    ", (command, "bold cyan")), soft_wrap=True)


def tuning_table(tuning: TuningRecord) -> Table:
    """Return the trials, the best first."""
    names = list(tuning.trials[0].values)
    table = _table("Tuning: the first row's values trained the model", "rank")
    for name in names:
        table.add_column(escape(name), justify="right")
    table.add_column("eval loss", justify="right", no_wrap=True)
    for rank, trial in enumerate(tuning.trials, start=1):
        values = (trial.values[name] for name in names)
        cells = [number(value) if isinstance(value, int | float) else escape(str(value)) for value in values]
        table.add_row(str(rank), *cells, number(trial.loss))
    return table


def metrics_table(summary: Summary) -> Table:
    """Return the metrics of the overall slice, of several cut-offs the headline's."""
    cut_off = (headline(summary) or "").partition("@")[2]
    names = [name for name in metric_names(summary) if name not in COUNTS]
    at = {name: name.partition("@")[2] for name in names}
    shown = [name for name in names if at[name] in ("", cut_off) or not cut_off]
    others = sorted({int(at[name]) for name in set(names) - set(shown)})
    more = f" (the page has k = {', '.join(map(str, others))} as well)" if others else ""
    table = _table(f"Test metrics, overall{more}", "metric")
    for heading in ("candidate", "baseline", "change", "popularity", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in shown:
        row = summary.metric(name)
        if row is not None:
            table.add_row(name, *_cells(row))
    return table


def slices_table(summary: Summary) -> Table:
    """Return the headline metric on every slice."""
    metric = headline(summary)
    arrow = {"higher": "higher is better", "lower": "lower is better", "neutral": ""}[direction(metric or "")]
    table = _table(f"{metric} by slice ({arrow})" if arrow else f"{metric} by slice", "slice")
    for heading in ("queries", "candidate", "baseline", "change", "popularity", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in slice_names(summary):
        row = summary.metric(metric, name) if metric else None
        if row is not None:
            table.add_row(escape(name), number(slice_count(summary.metrics, name)), *_cells(row))
    return table


def gate_table(summary: Summary) -> Table:
    """Return every check of the gate; failed ones first."""
    table = _table("Gate", "check")
    table.add_column("slice")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("bound", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for row in sorted(summary.gate, key=lambda row: row.passed):
        verdict = Text("✓ passed", "green") if row.passed else Text("✗ failed", "bold red")
        table.add_row(
            escape(row.name), escape(row.slice), number(row.value), number(row.bound), verdict, escape(row.reason)
        )
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    return table


def _cells(row: MetricRecord) -> tuple[Text | str, ...]:
    cells: list[Text | str] = [Text(number(row.value), "bold")]
    for reference in (row.baseline, row.popularity):
        share = change(row.value, reference)
        style = {"better": "green", "worse": "red", "": ""}[verdict_of_change(row.name, share)]
        cells += [number(reference), Text(percent(share), style)]
    return tuple(cells)
