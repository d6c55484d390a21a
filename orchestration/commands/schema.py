"""`schema`: generate the schema of a data set once, review it, and later see how data and schema differ."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import configuration_options

_EPILOG = """\b
Examples:
  python pipeline.py schema infer --config configs/movielens_100k.yaml --out schema.pbtxt
  python pipeline.py schema diff --config configs/movielens_100k.yaml --set data.schema_path=schema.pbtxt"""


@click.group(epilog=_EPILOG, short_help="Infer a schema to review, or compare the reviewed one with the data.")
def schema() -> None:
    """Generate the schema of a data set once, review it, name it in data.schema_path, and see later what moved."""


@schema.command(short_help="Write the schema that the data ask for.")
@configuration_options
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write here; an existing file is not overwritten. Without it, print.",
)
def infer(config_path: Path, overrides: tuple[str, ...], data_path: str | None, out: Path | None) -> None:
    """Write the schema that the data ask for: what every run without a reviewed schema is checked against."""
    from settings.config import load
    from settings.errors import ConfigError

    config = load(config_path, overrides, data_path)
    if out is not None and out.exists():
        raise ConfigError(f"--out {out}: exists, and may have been reviewed. Name another file, or use schema diff")
    from google.protobuf import text_format

    from components.schema_comparison import schema_of

    text = text_format.MessageToString(schema_of(config.data))
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    click.echo(f"{out}: written. Review it, then name it in data.schema_path")


@schema.command(short_help="Compare the reviewed schema with what the data ask for.")
@configuration_options
def diff(config_path: Path, overrides: tuple[str, ...], data_path: str | None) -> None:
    """Compare data.schema_path with the schema that today's data ask for. Exit code 0 also where they differ."""
    from settings.config import load
    from settings.errors import ConfigError

    config = load(config_path, overrides, data_path)
    if config.data.schema_path is None:
        raise ConfigError("data.schema_path: is empty, so there is nothing to compare. Make one with schema infer")
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.schema_comparison import differences, schema_of
    from components.schema_gen import read_schema

    reviewed = text_format.Parse(read_schema(config.data.schema_path), schema_pb2.Schema())
    found = differences(reviewed, schema_of(config.data))
    for difference in found:
        click.echo(f"{difference.feature}\n  reviewed: {difference.reviewed}\n  data:     {difference.inferred}")
    if not found:
        click.echo(f"{config.data.schema_path} asks for what the data ask for.")
