"""Several runs side by side: one column a run, the best value of each metric marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from evaluation.metric_table import COUNTS
from reporting import comparison
from reporting.page import make_environment, page_style
from reporting.summary import MetricRecord, Summary


@dataclass(frozen=True)
class Line:
    """One metric on one slice in all runs; `best` is the index of the best value, None where none can be called so."""

    slice: str
    name: str
    cells: tuple[MetricRecord | None, ...]
    best: int | None


def lines_of(runs: Sequence[Summary]) -> list[Line]:
    """Return all metrics of the overall slice, then the first run's headline metric on every slice.

    Runs on other data, or for another task, have other queries: their values stand beside each other, and none is
    called best. For that, evaluate one against the other: `python pipeline.py evaluate --baseline-dir`.
    """
    names = list(dict.fromkeys(name for run in runs for name in comparison.metric_names(run) if name not in COUNTS))
    found = [_line(runs, "overall", name) for name in names]
    metric = comparison.headline(runs[0])
    slices = list(dict.fromkeys(name for run in runs for name in comparison.slice_names(run) if name != "overall"))
    return found + [_line(runs, name, metric) for name in slices if metric is not None]


def have_same_queries(runs: Sequence[Summary]) -> bool:
    """Return whether all runs measured equally many queries of one test split."""
    return len({(run.data.get("test"), row.value if (row := run.metric("num_queries")) else None) for run in runs}) == 1


def _line(runs: Sequence[Summary], slice_: str, name: str) -> Line:
    cells = tuple(run.metric(name, slice_) for run in runs)
    same_queries = have_same_queries(runs)
    known = [(cell.value, index) for index, cell in enumerate(cells) if cell is not None and cell.value is not None]
    direction = comparison.direction(name)
    best = None
    if same_queries and len(known) > 1 and direction != "neutral" and len({value for value, _ in known}) > 1:
        best = (max if direction == "higher" else min)(known)[1]
    return Line(slice_, name, cells, best)


def heading(run: Summary) -> str:
    """Return what a run's column is called.

    The model's name, and the run's.
    """
    return f"{run.config.get('model', {}).get('name', '-')} {run.run_id}"


def side_by_side_table(runs: Sequence[Summary]) -> Table:
    """Return the comparison for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("slice", overflow="fold")
    table.add_column("metric", no_wrap=True)
    for run in runs:
        table.add_column(heading(run), justify="right")
    for line in lines_of(runs):
        cells = [
            Text(comparison.number(cell.value if cell else None), "bold green" if index == line.best else "")
            for index, cell in enumerate(line.cells)
        ]
        table.add_row(line.slice, line.name, *cells)
    return table


def render_side_by_side(runs: Sequence[Summary]) -> str:
    """Return the comparison as a page that needs no network."""
    template = make_environment().get_template("compare.html.j2")
    lines = lines_of(runs)
    parts = {
        "Whole test split": [(line.name, line) for line in lines if line.slice == "overall"],
        f"{comparison.headline(runs[0])} by slice": [(line.slice, line) for line in lines if line.slice != "overall"],
    }
    return template.render(css=page_style(), runs=runs, same_queries=have_same_queries(runs), parts=parts)
