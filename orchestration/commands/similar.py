"""`similar`: the items most like one."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_model, served_model_options

_EPILOG = """\b
Examples:
  python pipeline.py similar --item 50
  python pipeline.py similar --item 50 --k 5 --json

Exit code 2: no pushed model, unknown item, or k below 1."""


@click.command(epilog=_EPILOG, short_help="Show the items most like one.")
@click.option("--item", required=True, metavar="ID", help="The item, as in the interactions.")
@click.option("--k", type=int, default=10, show_default=True, help="How many items, at least 1.")
@output_root_option
@served_model_options
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def similar(
    item: str, k: int, output_root: Path, config_path: Path | None, model_dir: Path | None, as_json: bool
) -> None:
    """Print the k items most like one, by the vectors of the newest pushed version."""
    from orchestration.recommendation import similar as similar_to

    if k < 1:
        from settings.errors import RequestError

        raise RequestError(f"--k {k}: should be at least 1")
    answer = similar_to(served_model(output_root, config_path, model_dir), item, k)
    if as_json:
        click.echo(answer.to_json())
        return
    from reporting.recommendation_table import print_answer

    print_answer(answer)
