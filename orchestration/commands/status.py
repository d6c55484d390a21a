"""`status`: the runs of an output root, from their records alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestration.commands.options import output_root_option

_EPILOG = """\b
Examples:
  python pipeline.py status
  python pipeline.py status --run 20260103-020000
  python pipeline.py status --json | jq '.[0] | {run_id, state, version}'"""


@click.command(epilog=_EPILOG, short_help="Show the runs, their nodes, and what was pushed.")
@output_root_option
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs to list.")
@click.option("--run", "run_id", metavar="RUN", help="Show the nodes of this run instead of the newest one's.")
@click.option("--json", "as_json", is_flag=True, help="Print run, state, nodes, blessed and pushed as JSON.")
def status(output_root: Path, last: int, run_id: str | None, as_json: bool) -> None:
    """Show the runs, newest first: their nodes, cached or not, whether blessed, and what was pushed."""
    from orchestration.run_list import list_runs
    from settings.errors import RequestError

    runs = list_runs(output_root)
    shown = next((run for run in runs if run.summary is not None and run_id in (None, run.run_id)), None)
    if run_id is not None and run_id not in [run.run_id for run in runs]:
        raise RequestError(
            f"--run {run_id}: is no run in {output_root}/runs. List them with: python pipeline.py status"
        )
    if as_json:
        chosen = runs[:last] if run_id is None else [run for run in runs if run.run_id == run_id]
        click.echo(json.dumps([run.digest() for run in chosen], indent=2))
        return
    from reporting.status_tables import print_status

    print_status(runs[:last], shown, len(runs), str(output_root))
