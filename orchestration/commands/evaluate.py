"""`evaluate`: what the gate says of an exported model, outside of a run."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import configuration_options

_EPILOG = """\b
Examples:
  python pipeline.py evaluate --model-dir output/serving/movielens_100k/3 --config configs/movielens_100k.yaml
  python pipeline.py evaluate --model-dir M --baseline-dir B --config C --data output/artifacts/.../examples/1
  python pipeline.py evaluate --model-dir M --config C --out report    # keeps report/page.html and summary.json

Exit code 0: the gate would bless it; 4: it would not."""


@click.command(epilog=_EPILOG, short_help="Evaluate an exported model, and ask the gate.")
@click.option(
    "--model-dir",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="The SavedModel, such as a version in serving/.",
)
@click.option("--baseline-dir", metavar="FOLDER", type=click.Path(path_type=Path), help="A SavedModel to compare with.")
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Examples that ExampleGen wrote; without it they are made from the configuration's data.",
)
@configuration_options
@click.option(
    "--out", metavar="FOLDER", type=click.Path(path_type=Path), help="Keep summary.json, page.html and all else here."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def evaluate(
    context: click.Context,
    model_dir: Path,
    baseline_dir: Path | None,
    data: Path | None,
    config_path: Path,
    overrides: tuple[str, ...],
    data_path: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a model on a test split by the pipeline's own Evaluator, and print metrics, slices and verdicts."""
    from orchestration.model_evaluation import evaluate_model
    from settings.config import load

    config = load(config_path, overrides, data_path)
    if data is None:
        from orchestration.inputs import check_inputs

        check_inputs(config)
    summary = evaluate_model(config, model_dir, data, baseline_dir, out)
    if as_json:
        click.echo(summary.model_dump_json(indent=2))
    else:
        from reporting.run_tables import gate_table, metrics_table, slices_table
        from reporting.terminal import console

        terminal = console()
        for table in (metrics_table(summary), slices_table(summary), gate_table(summary)):
            terminal.print(table)
        terminal.print("The gate would bless it." if summary.blessed else "The gate would not bless it.", style="bold")
    context.exit(summary.exit_code)
