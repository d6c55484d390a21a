"""Asks the cluster, before anything is submitted, for what the pods would wait for in vain."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from settings.errors import ConfigError
from settings.kubernetes import KubernetesSettings

_SECONDS = 10.0


def check_cluster(settings: KubernetesSettings, nodes: Iterable[str]) -> str | None:
    """Raise where a claim or the service account is missing; return why the cluster could not be asked, if so.

    The cluster is that of `kubectl`: the current context of $KUBECONFIG. Secrets are left alone: to look for one is to
    read it.

    Args:
      settings: the cluster, its namespace and service account.
      nodes: whose claims are asked for, beside the output root's.

    Raises:
      ConfigError: with everything that is missing.
    """
    from urllib3.exceptions import HTTPError

    from kubernetes import client, config

    try:
        config.load_kube_config(os.environ.get("KUBECONFIG"))
    except config.ConfigException:
        return "there is no kubeconfig"
    core = client.CoreV1Api()
    claims = sorted({volume.claim for node in ("", *nodes) for volume in settings.volumes(node)})
    wanted = [("PersistentVolumeClaim", core.read_namespaced_persistent_volume_claim, claim) for claim in claims]
    wanted.append(("ServiceAccount", core.read_namespaced_service_account, settings.service_account))
    missing = []
    for kind, read, name in wanted:
        try:
            if not _exists(read, name, settings.namespace):
                missing.append(f"{kind} {name}")
        except (OSError, HTTPError, client.ApiException) as error:
            return f"{kind} {name} could not be asked for ({_reason(error)})"
    if missing:
        raise ConfigError(
            f"namespace {settings.namespace}: has no {', no '.join(missing)}. Pods would wait for ever. Expected "
            "`kubectl apply -k kubernetes/overlays/prod`, or other names in the cluster settings"
        )
    return None


def _exists(read: Any, name: str, namespace: str) -> bool:
    from kubernetes.client import ApiException

    try:
        read(name, namespace, _request_timeout=_SECONDS)
    except ApiException as error:
        if error.status != 404:
            raise
        return False
    return True


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).splitlines()[0][:120]
