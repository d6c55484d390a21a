"""`rollback`: the previous version serves again."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_config_option

_EPILOG = """\b
Examples:
  python pipeline.py rollback
  python pipeline.py rollback --config configs/movielens_100k.yaml

The previous version that is another model and undamaged becomes the newest again, under a new number; nothing is
removed, and servers pick it up as they pick up a push. A second rollback goes one further back. The next run compares
its candidate with the model that serves again. Exit code 1: there is no earlier version to go back to."""


@click.command(epilog=_EPILOG, short_help="Make the previous pushed version the newest again.")
@output_root_option
@served_config_option
def rollback(output_root: Path, config_path: Path | None) -> None:
    """Make the previous pushed version the newest again."""
    from orchestration.commands.options import served_name
    from orchestration.recommendation import find_version
    from serving import version_store

    newest = find_version(output_root, served_name(config_path))
    version = version_store.rollback(newest.parent)
    restored = version.manifest().restored_from
    click.echo(f"Version {version.number} serves: it is version {restored} again, in place of {newest.name}")
