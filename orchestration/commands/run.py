"""`run`: data in, a gated and pushed recommender out."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from orchestration.commands.options import configuration_options, output_root_option, replay_options
from orchestration.kubeflow.commands import cluster_option, host_option
from orchestration.verdict import EXIT_CODES

_EPILOG = (
    "\b\nExit codes:\n"
    + "\n".join(f"  {code}  {meaning}" for code, meaning in sorted(EXIT_CODES.items()))
    + """

\b
Examples:
  python pipeline.py run --config configs/movielens_100k.yaml
  python pipeline.py run --config configs/movielens_100k.yaml --set model.name=sasrec --set training.epochs=10
  python pipeline.py run --config configs/movielens_100k.yaml --data-path ~/ml-100k --runner beam
  python pipeline.py run --config configs/movielens_100k.yaml --from-node Evaluator
  python pipeline.py run --config configs/movielens_100k.yaml --runner kubeflow --cluster kubernetes/clusters/dev.yaml

The folder runs/<run id>/ of the output root keeps summary.json (for programs), page.html (for people) and log.txt
(what the frameworks had to say). What did not change since an earlier run is taken from it; --no-cache runs all."""
)


@click.command(epilog=_EPILOG, short_help="Run the pipeline: train, evaluate, push what the gate blesses.")
@configuration_options
@click.option(
    "--runner",
    type=click.Choice(["local", "beam", "kubeflow"]),
    default="local",
    show_default=True,
    help="local: TFX's LocalDagRunner, node after node. beam: TFX's BeamDagRunner, in this process. kubeflow: compile, "
    "check and submit to Kubeflow Pipelines 2, as `kubeflow submit` does.",
)
@cluster_option
@host_option
@click.option(
    "--beam-runner",
    metavar="NAME",
    help="Engine of the Beam steps: in-memory, multi-processing, portable, flink, spark or dataflow; replaces "
    "beam.runner.",
)
@output_root_option
@click.option("--from-node", metavar="NODE", help="Start here; earlier nodes lend the outputs of their last success.")
@click.option("--to-node", metavar="NODE", help="Stop after this node.")
@click.option("--no-cache", is_flag=True, help="Run every node, also those whose inputs did not change.")
@click.option("--verbose", is_flag=True, help="Show the frameworks' log here as well, and plain progress lines.")
@click.pass_context
def run(
    context: click.Context,
    config_path: Path,
    overrides: tuple[str, ...],
    data_path: str | None,
    runner: str,
    cluster_path: Path | None,
    host: str | None,
    beam_runner: str | None,
    output_root: Path,
    from_node: str | None,
    to_node: str | None,
    no_cache: bool,
    verbose: bool,
) -> None:
    """Run the pipeline: read, validate, train, evaluate, and push the model if the gate blesses it."""
    if beam_runner is not None:
        overrides = (*overrides, f"beam.runner={beam_runner}")
    if runner == "kubeflow":
        _refuse_local_options(context)
        from orchestration.kubeflow import submission
        from orchestration.kubeflow.client import Kubeflow

        asked = submission.request(config_path, overrides, data_path, cluster_path, use_cache=not no_cache)
        done = asked.submit(Kubeflow(host or asked.settings.host))
        click.echo(f"run {done.id}, version {done.version}: {done.outcome}")
        return
    from orchestration.execution import RunRequest, execute
    from orchestration.inputs import check_inputs
    from settings.config import load

    config = load(config_path, overrides, data_path)
    check_inputs(config)
    request = RunRequest(
        config=config,
        output_root=output_root,
        runner=runner,
        from_node=from_node,
        to_node=to_node,
        use_cache=not no_cache,
        verbose=verbose,
    )
    from pipeline import create_pipeline

    context.exit(execute(request, create_pipeline, replay_options(config_path, overrides, data_path)).exit_code)


def _refuse_local_options(context: click.Context) -> None:
    """Raise where an option was given that means nothing on a cluster, instead of passing over it."""
    from settings.errors import ConfigError

    local = ("output_root", "from_node", "to_node", "verbose")
    given = [name for name in local if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise ConfigError(
            f"--{given[0].replace('_', '-')}: has no meaning with --runner kubeflow, where the cluster settings say "
            "where things are kept and the whole pipeline runs. Expected it to be left out"
        )
