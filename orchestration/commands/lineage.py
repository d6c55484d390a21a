"""`lineage`: from a served version back to where it came from."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_config_option

_EPILOG = """\b
Examples:
  python pipeline.py lineage
  python pipeline.py lineage --version 1795246874 --json | jq .code_revision

Exit code 2: no such version."""


@click.command(epilog=_EPILOG, short_help="Tell which run, data and code a served version came from.")
@click.option("--version", type=int, help="The version; the newest, where it is not given.")
@output_root_option
@served_config_option
@click.option("--json", "as_json", is_flag=True, help="Print the lineage as JSON.")
def lineage(version: int | None, output_root: Path, config_path: Path | None, as_json: bool) -> None:
    """Tell which run, data window, configuration and code a served version came from."""
    from orchestration.commands.options import served_name
    from orchestration.lineage import trace

    found = trace(output_root, served_name(config_path), version)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from reporting.lineage_table import print_lineage

    print_lineage(found)
