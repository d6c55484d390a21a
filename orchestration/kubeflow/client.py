"""Talks to the Kubeflow Pipelines API server: submit, schedule, list, cancel."""

from __future__ import annotations

import hashlib
import json
import urllib.request
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.kubeflow.cron import for_kubeflow
from orchestration.kubeflow.package_check import check_package
from settings.errors import ConfigError, ShortlistError

UNFINISHED = {"PENDING", "RUNNING", "PAUSED", "CANCELING", "RUNTIME_STATE_UNSPECIFIED"}


class KubeflowError(ShortlistError):
    """The Kubeflow Pipelines API server does not answer, or says no."""


@dataclass(frozen=True)
class Submission:
    """What the API server holds after a submission; `created` is False where it held it before."""

    id: str
    version: str
    created: bool

    @property
    def outcome(self) -> str:
        """What became of a run, in words."""
        return "submitted" if self.created else "was already on its way"


class Kubeflow:
    """One API server.

    Args:
      host: its address.
      namespace: of the runs, where the installation serves several users; None for a single-user one.

    Raises:
      KubeflowError: it does not answer.
    """

    def __init__(self, host: str, namespace: str | None = None) -> None:
        self._host, self._namespace = host, namespace
        self._ask(urllib.request.urlopen, f"{host.rstrip('/')}/apis/v2beta1/healthz", timeout=10)
        from kfp import Client

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self._client = self._ask(lambda: Client(host=host, namespace=namespace or "kubeflow"))

    def submit(
        self, package: Path, name: str, parameters: Mapping[str, Any], service_account: str | None = None
    ) -> Submission:
        """Run a package; while a run of the same version and parameters goes on, return that one instead.

        Args:
          package: compiled package.
          name: of the pipeline and of its experiment.
          parameters: run parameters.
          service_account: under which the pods run.

        Raises:
          ConfigError: the package is not sound.
          KubeflowError: the API server says no.
        """
        pipeline_id, version, version_id = self._upload(package, name)
        experiment = self._experiment(name)
        job = f"{name}-{version}-{_digest(json.dumps(dict(parameters), sort_keys=True))}"
        for run in self._runs(experiment):
            if run.display_name == job and run.state in UNFINISHED:
                return Submission(run.run_id, version, created=False)
        run = self._ask(
            lambda: self._client.run_pipeline(
                experiment_id=experiment,
                job_name=job,
                params=dict(parameters),
                pipeline_id=pipeline_id,
                version_id=version_id,
                enable_caching=False,
                service_account=service_account,
            )
        )
        return Submission(run.run_id, version, created=True)

    def schedule(
        self, package: Path, name: str, cron: str, parameters: Mapping[str, Any], service_account: str | None = None
    ) -> Submission:
        """Run a package at set times, one run at a time, without making up for missed ones.

        The schedule is named by version, times and parameters: the same again changes nothing. Other schedules of this
        pipeline are switched off, so that a new version takes the old one's place.

        Raises:
          ConfigError: the package or the cron expression is wrong.
          KubeflowError: the API server says no.
        """
        expression = for_kubeflow(cron)
        pipeline_id, version, version_id = self._upload(package, name)
        experiment = self._experiment(name)
        job = f"{name}-{version}-{_digest(json.dumps([expression, dict(parameters)], sort_keys=True))}"
        existing = self._pages(self._client.list_recurring_runs, "recurring_runs", experiment_id=experiment)
        same = next((entry for entry in existing if entry.display_name == job and entry.status == "ENABLED"), None)
        created = same or self._ask(
            lambda: self._client.create_recurring_run(
                experiment_id=experiment,
                job_name=job,
                cron_expression=expression,
                max_concurrency=1,
                no_catchup=True,
                params=dict(parameters),
                pipeline_id=pipeline_id,
                version_id=version_id,
                enable_caching=False,
                service_account=service_account,
            )
        )
        for entry in existing:
            if entry.recurring_run_id != created.recurring_run_id and entry.status == "ENABLED":
                self._ask(self._client.disable_recurring_run, entry.recurring_run_id)
        return Submission(created.recurring_run_id, version, created=same is None)

    def runs(self, name: str, limit: int = 20) -> list[Any]:
        """Return the newest runs of a pipeline, newest first; none where it was never submitted."""
        return self._runs(self._experiment(name))[:limit]

    def cancel(self, run_id: str) -> None:
        """Stop a run.

        Raises:
          KubeflowError: there is no such run.
        """
        self._ask(self._client.terminate_run, run_id)

    def _upload(self, package: Path, name: str) -> tuple[str, str, str]:
        """Make sure the server holds this package; return pipeline id, version name and version id."""
        check_package(package)
        version = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
        pipeline_id = self._ask(self._client.get_pipeline_id, name)
        if pipeline_id is None:
            pipeline_id = self._ask(self._client.upload_pipeline, str(package), pipeline_name=name).pipeline_id
        versions = self._pages(self._client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id)
        found = next((entry for entry in versions if entry.display_name == version), None)
        found = found or self._ask(
            self._client.upload_pipeline_version, str(package), pipeline_version_name=version, pipeline_id=pipeline_id
        )
        return pipeline_id, version, found.pipeline_version_id

    def _experiment(self, name: str) -> str:
        return str(self._ask(self._client.create_experiment, name, namespace=self._namespace).experiment_id)

    def _runs(self, experiment: str) -> list[Any]:
        return self._pages(
            self._client.list_runs, "runs", experiment_id=experiment, sort_by="created_at desc", limit_pages=1
        )

    def _pages(self, method: Any, key: str, limit_pages: int = 50, **arguments: Any) -> list[Any]:
        entries: list[Any] = []
        token = ""
        for _ in range(limit_pages):
            page = self._ask(method, page_token=token, page_size=100, **arguments)
            entries += getattr(page, key) or []
            token = page.next_page_token or ""
            if not token:
                break
        return entries

    def _ask(self, method: Any, *arguments: Any, **named: Any) -> Any:
        from kfp_server_api import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return method(*arguments, **named)
        except ApiException as error:
            raise KubeflowError(f"{self._host}: Kubeflow Pipelines answered {error.status}: {_said(error)}") from None
        except (HTTPError, OSError, TimeoutError, RuntimeError) as error:
            raise KubeflowError(
                f"{self._host}: no Kubeflow Pipelines API server answers ({type(error).__name__}). Expected its "
                "address in kubernetes.host or --host, for example after "
                "`kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888` http://localhost:8888"
            ) from None


def check_parameters(parameters: Mapping[str, Any], config_json: str) -> None:
    """Raise unless the overrides fit the configuration, before a cluster is asked to do anything.

    Raises:
      ConfigError: as `settings.config.load`.
    """
    from orchestration.kubeflow.prepare import overridden

    overrides = parameters.get("overrides", [])
    if not isinstance(overrides, list):
        raise ConfigError(f"overrides should be a list of key=value. Received: {overrides!r}")
    overridden(config_json, overrides, parameters.get("model", ""), parameters.get("data_path", ""))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _said(error: Any) -> str:
    try:
        record = json.loads(error.body)
        return str(record.get("error_details") or record.get("message") or record)[:300]
    except (TypeError, ValueError, AttributeError):
        return str(error.reason)
