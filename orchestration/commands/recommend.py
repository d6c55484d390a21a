"""`recommend`: ask a pushed model."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option

_EPILOG = """\b
Examples:
  python pipeline.py recommend --user 196 --k 10
  python pipeline.py recommend --user 196 --k 10 --config configs/movielens_100k.yaml
  python pipeline.py recommend --user newcomer --k 5 --allow-unknown
  python pipeline.py recommend --user 196 --k 5 --model-dir output/serving/movielens_100k/1

Items that the user has already seen are left out. Exit code 2: no pushed model, unknown user, or k below 1."""


@click.command(epilog=_EPILOG, short_help="Ask the newest pushed model.")
@click.option("--user", required=True, metavar="ID", help="The user, as in the interactions.")
@click.option("--k", type=int, default=10, show_default=True, help="How many items, at least 1.")
@output_root_option
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the model of this configuration; needed only where the output root serves several.",
)
@click.option(
    "--model-dir",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Take this version instead of the newest pushed one.",
)
@click.option("--allow-unknown", is_flag=True, help="Answer an unknown user with the most popular items.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def recommend(
    user: str,
    k: int,
    output_root: Path,
    config_path: Path | None,
    model_dir: Path | None,
    allow_unknown: bool,
    as_json: bool,
) -> None:
    """Print the k best items for a user, from the newest pushed version."""
    from orchestration.recommendation import ask, find_version

    if k < 1:
        from settings.errors import RequestError

        raise RequestError(f"--k {k}: should be at least 1")
    name = None
    if config_path is not None:
        from settings.config import load

        name = load(config_path).name
    folder = model_dir if model_dir is not None else find_version(output_root, name)
    answer = ask(folder, user, k, allow_unknown)
    if as_json:
        click.echo(answer.to_json())
        return
    from reporting.recommendation_table import print_answer

    print_answer(answer)
