"""`batch-recommend`: recommendations for every stored user."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_model, served_model_options

_EPILOG = """\b
Examples:
  python pipeline.py batch-recommend --out output/batch/monday --k 20
  python pipeline.py batch-recommend --out output/batch/monday --k 20   # goes on where it was stopped

Exit code 2: no pushed model, or the folder holds another batch."""


@click.command("batch-recommend", epilog=_EPILOG, short_help="Write recommendations for all users as Parquet.")
@click.option("--out", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Where the parts go.")
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="How many items a user.")
@click.option("--users-per-part", type=click.IntRange(min=1), default=10_000, show_default=True, help="A file.")
@output_root_option
@served_model_options
def batch_recommend(
    out: Path, k: int, users_per_part: int, output_root: Path, config_path: Path | None, model_dir: Path | None
) -> None:
    """Write the k best items of every stored user as Parquet files; parts that are there are not made again."""
    import os
    import time

    folder = served_model(output_root, config_path, model_dir)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from serving.batch import recommend_all
    from settings.runtime import BeamSettings

    started = time.monotonic()
    num_users = recommend_all(folder, out, k, users_per_part, BeamSettings().pipeline_args, click.echo)
    seconds = time.monotonic() - started
    click.echo(f"{num_users} users, {k} items each, in {out} after {seconds:.1f} s")
