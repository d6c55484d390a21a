"""`validate`: is the configuration right? Answered in a fraction of a second, before any work."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import configuration_options

_EPILOG = """\b
Examples:
  python pipeline.py validate --config configs/movielens_100k.yaml
  python pipeline.py validate --config configs/movielens_100k.yaml --set model.name=deepfm

Exit code 0: right. 2: wrong, with the key's path, what was expected and what was received."""


@click.command(epilog=_EPILOG, short_help="Check a configuration without running anything.")
@configuration_options
def validate(config_path: Path, overrides: tuple[str, ...], data_path: str | None) -> None:
    """Check a configuration, and that its input files are there, without running anything."""
    from orchestration.inputs import check_inputs
    from reporting.config_text import describe_config
    from settings.config import load

    config = load(config_path, overrides, data_path)
    check_inputs(config)
    click.echo(f"{config_path} is valid.\n")
    click.echo(describe_config(config))
