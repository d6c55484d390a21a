"""`kubeflow`: compile, submit, schedule, list and cancel runs; and the Job for a cluster without Kubeflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.commands.options import config_option, configuration_options

if TYPE_CHECKING:
    from orchestration.kubeflow.client import Kubeflow
    from settings.kubernetes import KubernetesSettings

_EPILOG = """\b
Examples:
  python pipeline.py kubeflow compile --config configs/movielens_100k.yaml --cluster kubernetes/clusters/dev.yaml
  python pipeline.py kubeflow submit --config configs/movielens_100k.yaml --cluster kubernetes/clusters/dev.yaml
  python pipeline.py kubeflow schedule --cron "0 3 * * *" --config ... --cluster ...
  python pipeline.py kubeflow job --cron "0 3 * * *" --config ... --cluster ... | kubectl apply -f -"""

cluster_option = click.option(
    "--cluster",
    "cluster_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Cluster settings (YAML), in place of the configuration's `kubernetes` section; see kubernetes/clusters/.",
)
host_option = click.option("--host", metavar="URL", help="Kubeflow Pipelines API server; replaces kubernetes.host.")
_package_option = click.option(
    "--package",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A package that `compile` wrote; it must hold this very configuration. Empty: compile now.",
)
_cron_option = click.option(
    "--cron", required=True, metavar="'M H D M W'", help="When to run, for example '0 3 * * *'."
)


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of everything that starts runs."""
    user = click.option("--multi-user", is_flag=True, help="The installation serves several users: name the namespace.")
    return configuration_options(cluster_option(host_option(_package_option(user(command)))))


@click.group(epilog=_EPILOG, short_help="Run the pipeline on Kubernetes.")
def kubeflow() -> None:
    """Run the pipeline on Kubernetes: Kubeflow Pipelines 2, or a plain Job."""


@kubeflow.command("compile", short_help="Write the pipeline as Kubeflow Pipelines YAML.")
@config_option
@cluster_option
@click.option(
    "--output", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Package to write (.yaml)."
)
def compile_package(config_path: Path, cluster_path: Path | None, output: Path) -> None:
    """Write the pipeline as Kubeflow Pipelines YAML, checked."""
    from orchestration.kubeflow import submission

    config, settings = submission.load_settings(config_path, cluster_path)
    containers = submission.compile_package(config, settings, output)
    click.echo(f"{output}: {len(containers.graph.upstream)} nodes, image {settings.image}")


@kubeflow.command(short_help="Run the pipeline on the cluster now.")
@_run_options
def submit(
    config_path: Path,
    overrides: tuple[str, ...],
    data_path: str | None,
    cluster_path: Path | None,
    host: str | None,
    package: Path | None,
    multi_user: bool,
) -> None:
    """Run the pipeline on the cluster now. The same again, while it runs, changes nothing."""
    from orchestration.kubeflow import submission

    request = submission.request(config_path, overrides, data_path, cluster_path, package)
    done = request.submit(_server(request.settings, host, multi_user))
    click.echo(f"run {done.id}, version {done.version}: {done.outcome}")


@kubeflow.command(short_help="Run the pipeline on the cluster at set times.")
@_run_options
@_cron_option
def schedule(
    config_path: Path,
    overrides: tuple[str, ...],
    data_path: str | None,
    cluster_path: Path | None,
    host: str | None,
    package: Path | None,
    multi_user: bool,
    cron: str,
) -> None:
    """Run the pipeline at set times: one run at a time, missed ones are not made up for."""
    from orchestration.kubeflow import submission
    from orchestration.kubeflow.cron import check_cron

    check_cron(cron)
    request = submission.request(config_path, overrides, data_path, cluster_path, package)
    done = request.schedule(_server(request.settings, host, multi_user), cron)
    click.echo(f"schedule {done.id}, version {done.version}: {'created' if done.created else 'unchanged'}")


@kubeflow.command(short_help="List the newest runs on the cluster.")
@config_option
@cluster_option
@host_option
def runs(config_path: Path, cluster_path: Path | None, host: str | None) -> None:
    """List the newest runs of this configuration's pipeline on the cluster."""
    from orchestration.kubeflow.submission import load_settings

    config, settings = load_settings(config_path, cluster_path)
    for run in _server(settings, host).runs(config.name.replace("_", "-")):
        click.echo(f"{run.run_id}  {run.state or 'UNKNOWN':10}  {run.created_at:%Y-%m-%d %H:%M}  {run.display_name}")


@kubeflow.command(short_help="Stop a run on the cluster.")
@click.argument("run_id")
@config_option
@cluster_option
@host_option
def cancel(run_id: str, config_path: Path, cluster_path: Path | None, host: str | None) -> None:
    """Stop a run on the cluster."""
    from orchestration.kubeflow.submission import load_settings

    _, settings = load_settings(config_path, cluster_path)
    _server(settings, host).cancel(run_id)
    click.echo(f"run {run_id}: asked to stop")


@kubeflow.command(short_help="Print a Job or CronJob that needs no Kubeflow.")
@configuration_options
@cluster_option
@click.option("--cron", metavar="'M H D M W'", help="Print a CronJob with these times instead of a Job.")
@click.option("--time-zone", default="Etc/UTC", show_default=True, help="In which --cron is meant.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Pods that train together, each with the resources of the node `Job`.",
)
def job(
    config_path: Path,
    overrides: tuple[str, ...],
    data_path: str | None,
    cluster_path: Path | None,
    cron: str | None,
    time_zone: str,
    workers: int,
) -> None:
    """Print the manifests of a Job, or a CronJob, that runs the whole pipeline in one pod; only training in several."""
    import yaml

    from orchestration.kubeflow.jobs import JOB, manifests
    from orchestration.kubeflow.submission import check, load_settings

    if workers > 1:
        overrides = (*overrides, f"training.workers={workers}")
    config, settings = load_settings(config_path, cluster_path, overrides, data_path)
    records = manifests(config, settings, cron, time_zone, workers)
    check(settings, (JOB,))
    click.echo(yaml.safe_dump_all(records, sort_keys=False), nl=False)


@kubeflow.command("job-status", short_help="Tell how the Jobs that `job` printed are doing.")
@config_option
@cluster_option
def job_status(config_path: Path, cluster_path: Path | None) -> None:
    """Tell how this configuration's Jobs are doing, newest first, and in words why one waits or failed."""
    from orchestration.kubeflow.job_status import job_statuses
    from orchestration.kubeflow.submission import load_settings

    for status in job_statuses(*load_settings(config_path, cluster_path)):
        click.echo("\n  ".join([f"{status.name}  {status.created}  {status.state}", *status.reasons]) + "\n")


def _server(settings: KubernetesSettings, host: str | None, multi_user: bool = False) -> Kubeflow:
    from orchestration.kubeflow.client import Kubeflow

    return Kubeflow(host or settings.host, settings.namespace if multi_user else None)
