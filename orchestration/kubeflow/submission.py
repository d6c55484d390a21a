"""What a submission needs, and everything that can be wrong with it before the cluster is asked for a pod."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.kubeflow.cluster_check import check_cluster
from orchestration.kubeflow.cluster_file import cluster_settings
from settings.config import Config, load
from settings.errors import ConfigError
from settings.kubernetes import KubernetesSettings

if TYPE_CHECKING:
    from orchestration.kubeflow.client import Kubeflow, Submission
    from orchestration.kubeflow.containers import Containers

_log = logging.getLogger("shortlist")
_NO_DIGEST = "@sha256:" + "0" * 64


@dataclass(frozen=True)
class Request:
    """A sound package, and the parameters to run it with."""

    config: Config
    settings: KubernetesSettings
    package: Path
    parameters: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the pipeline on the server."""
        return self.config.name.replace("_", "-")

    def submit(self, server: Kubeflow) -> Submission:
        """Run the package now."""
        return server.submit(self.package, self.name, self.parameters, self.settings.service_account)

    def schedule(self, server: Kubeflow, cron: str) -> Submission:
        """Run the package at set times."""
        return server.schedule(self.package, self.name, cron, self.parameters, self.settings.service_account)


def load_settings(
    config_path: Path, cluster_path: Path | None, overrides: Sequence[str] = (), data_path: str | None = None
) -> tuple[Config, KubernetesSettings]:
    """Return the configuration and the cluster that it is to run on.

    Raises:
      ConfigError: one of the files is wrong or missing.
    """
    config = load(config_path, overrides, data_path)
    return config, cluster_settings(config, cluster_path)


def compile_package(config: Config, settings: KubernetesSettings, output: Path) -> Containers:
    """Compile a package, write it and check it.

    Raises:
      ConfigError: see `orchestration.kubeflow.kfp_pipeline.write_package`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from orchestration.kubeflow.containers import Containers
    from orchestration.kubeflow.kfp_pipeline import write_package
    from orchestration.kubeflow.package_check import check_package
    from orchestration.kubeflow.representation import shape

    containers = Containers(config, settings, shape(config))
    write_package(containers, output)
    check_package(output)
    return containers


def request(
    config_path: Path,
    overrides: Sequence[str],
    data_path: str | None,
    cluster_path: Path | None,
    package: Path | None = None,
    use_cache: bool = True,
) -> Request:
    """Return what is to be submitted.

    Args:
      config_path: configuration; it goes into the package.
      overrides: `key=value` strings; they go into the run's parameters.
      data_path: replaces `data.source.path` in this run.
      cluster_path: cluster settings; None: the configuration's own.
      package: a package that was compiled before; None: compile now.
      use_cache: take the outputs of unchanged nodes from earlier runs.

    Raises:
      ConfigError: a file or an override is wrong, an image was never named, a claim is missing, or the package holds
        another configuration.
    """
    from orchestration.kubeflow.client import check_parameters
    from orchestration.kubeflow.kfp_pipeline import package_config

    config, settings = load_settings(config_path, cluster_path)
    check(settings, settings.nodes)
    parameters: dict[str, Any] = {"overrides": list(overrides), "data_path": data_path or ""}
    if not use_cache:
        parameters["enable_cache"] = False
    check_parameters(parameters, config.to_json())
    if package is None:
        package = Path("output", "kubeflow", f"{config.name}.yaml")
        compile_package(config, settings, package)
    elif package_config(package) != config:
        raise ConfigError(
            f"{package}: was compiled from another configuration than {config_path}. Expected the same; compile it "
            "anew, or leave --package out"
        )
    return Request(config, settings, package, parameters)


def check(settings: KubernetesSettings, nodes: Iterable[str]) -> None:
    """Raise where pods would wait in vain: for an image that was never named, a claim, or the service account.

    Args:
      settings: the cluster.
      nodes: whose claims are asked for, beside the output root's.

    Raises:
      ConfigError: with what is missing.
    """
    _check_images(settings)
    if not_asked := check_cluster(settings, nodes):
        _log.warning("claims and service account were not checked: %s", not_asked)


def _check_images(settings: KubernetesSettings) -> None:
    """Raise where an image still has the digest of zeros that the examples come with: no registry holds it."""
    images = {"image": settings.image} | {
        f"nodes.{name}.image": node.image for name, node in settings.nodes.items() if node.image
    }
    for key, image in images.items():
        if image.endswith(_NO_DIGEST):
            raise ConfigError(
                f"{key}: {image} is the example's digest of zeros, which no registry holds. Expected the digest that "
                "`docker push` printed"
            )
