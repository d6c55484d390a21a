"""`compare`: several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.commands.options import output_root_option

if TYPE_CHECKING:
    from reporting.summary import Summary

_EPILOG = """\b
Examples:
  python pipeline.py compare 20260103-020000 20260104-020000
  python pipeline.py compare 20260103-020000 report --html compare.html   # report: a folder of evaluate --out"""


@click.command(epilog=_EPILOG, short_help="Show the metrics of several runs side by side.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@output_root_option
@click.option("--html", "html_path", metavar="FILE", type=click.Path(path_type=Path), help="Also write a page.")
def compare(runs: tuple[str, ...], output_root: Path, html_path: Path | None) -> None:
    """Print the metrics of runs side by side; a RUN is its id, or a folder with a summary.json."""
    from reporting.side_by_side import render_side_by_side, side_by_side_table
    from reporting.summary import write_atomically
    from reporting.terminal import console

    found = [_read(run, output_root) for run in runs]
    console().print(side_by_side_table(found))
    if html_path is not None:
        write_atomically(html_path, render_side_by_side(found))


def _read(run: str, output_root: Path) -> Summary:
    from reporting import summary
    from settings.errors import RequestError

    for path in (output_root / "runs" / run / "summary.json", Path(run) / "summary.json"):
        if path.is_file():
            try:
                return summary.read(path)
            except ValueError as error:
                raise RequestError(f"{path}: is no summary of a run: {error}") from None
    known = sorted(path.parent.name for path in output_root.glob("runs/*/summary.json"))[-5:]
    raise RequestError(
        f"{run}: is no run of {output_root}, and no folder with a summary.json. Latest runs: "
        f"{', '.join(known) or 'none'}. See python pipeline.py status"
    )
