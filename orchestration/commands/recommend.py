"""`recommend`: ask a pushed model."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_model, served_model_options

_EPILOG = """\b
Examples:
  python pipeline.py recommend --user 196 --k 10
  python pipeline.py recommend --history 1 --history 50 --history 172
  python pipeline.py recommend --user 196 --exclude 242 --filter genres=Comedy --filter year=1994
  python pipeline.py recommend --user newcomer --k 5 --allow-unknown
  python pipeline.py recommend --user 196 --k 5 --model-dir output/serving/movielens_100k/1

Items that the user has already seen are left out. How much is known decides who answers: the model, similarity to the
few items known, or popularity; see `serving` in the configuration.

Exit code 2: no pushed model, unknown user, or k below 1."""


@click.command(epilog=_EPILOG, short_help="Ask the newest pushed model.")
@click.option("--user", default="", metavar="ID", help="The user, as in the interactions; none: somebody new.")
@click.option("--history", multiple=True, metavar="ITEM", help="An item chosen lately, the newest last. Repeatable.")
@click.option("--k", type=int, default=10, show_default=True, help="How many items, at least 1.")
@click.option("--exclude", multiple=True, metavar="ITEM", help="An item that must not be recommended. Repeatable.")
@click.option("--filter", "filters", multiple=True, metavar="COLUMN=VALUE", help="What items must have. Repeatable.")
@output_root_option
@served_model_options
@click.option("--allow-unknown", is_flag=True, help="Answer an unknown user as somebody new.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def recommend(
    user: str,
    history: tuple[str, ...],
    k: int,
    exclude: tuple[str, ...],
    filters: tuple[str, ...],
    output_root: Path,
    config_path: Path | None,
    model_dir: Path | None,
    allow_unknown: bool,
    as_json: bool,
) -> None:
    """Print the k best items for a user, or for somebody new, from the newest pushed version."""
    from orchestration.recommendation import Question, ask

    if k < 1:
        from settings.errors import RequestError

        raise RequestError(f"--k {k}: should be at least 1")
    question = Question(user, history, k, exclude, filters, allow_unknown)
    answer = ask(served_model(output_root, config_path, model_dir), question)
    if as_json:
        click.echo(answer.to_json())
        return
    from reporting.recommendation_table import print_answer

    print_answer(answer)
