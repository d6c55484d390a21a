"""What became of the Jobs of the way without Kubeflow, in words: a pod that was killed cannot tell it itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestration.kubeflow.jobs import INSTANCE_LABEL, JOB, instance
from orchestration.verdict import EXIT_CODES
from settings.config import Config
from settings.errors import ShortlistError
from settings.kubernetes import KubernetesSettings

_SECONDS = 10.0
_LISTED = 20


class ClusterError(ShortlistError):
    """The cluster's API server does not answer, or not with what was asked for."""


@dataclass(frozen=True)
class JobStatus:
    """One Job: `state` is waiting, running, succeeded or failed, `reasons` what its pods have to say."""

    name: str
    created: str
    state: str
    reasons: tuple[str, ...]


def job_statuses(config: Config, settings: KubernetesSettings) -> list[JobStatus]:
    """Return the Jobs of a configuration in the cluster that `kubectl` would ask, newest first.

    Raises:
      ClusterError: there is no kubeconfig, or no answer.
    """
    from urllib3.exceptions import HTTPError

    from kubernetes import client
    from kubernetes import config as kubeconfig

    try:
        kubeconfig.load_kube_config(os.environ.get("KUBECONFIG"))
        selector = f"{INSTANCE_LABEL}={instance(config)}"
        # As plain records: the client's classes refuse what an older or newer server leaves out or adds.
        options = {"label_selector": selector, "_preload_content": False, "_request_timeout": _SECONDS}
        jobs, pods = (
            json.loads(ask(settings.namespace, **options).data)["items"]
            for ask in (client.BatchV1Api().list_namespaced_job, client.CoreV1Api().list_namespaced_pod)
        )
    except (kubeconfig.ConfigException, HTTPError, OSError, client.ApiException) as error:
        raise ClusterError(
            f"namespace {settings.namespace}: the cluster cannot be asked for Jobs ({_first_line(error)}). Expected "
            "`kubectl get jobs` to work: see $KUBECONFIG"
        ) from None
    jobs.sort(key=lambda job: job["metadata"]["creationTimestamp"], reverse=True)
    return [status_of(job, [pod for pod in pods if _belongs(pod, job)]) for job in jobs[:_LISTED]]


def status_of(job: dict[str, Any], pods: list[dict[str, Any]]) -> JobStatus:
    """Return what a Job and its pods say of themselves, told with the setting to change.

    Args:
      job: as the API server writes it.
      pods: its own.
    """
    conditions = {entry["type"]: entry for entry in job["status"].get("conditions", []) if entry["status"] == "True"}
    reasons = [reason for pod in pods for reason in _pod_reasons(pod)]
    if "Failed" in conditions and conditions["Failed"].get("reason") == "DeadlineExceeded":
        reasons.append(
            f"stopped by its time limit, {job['spec']['activeDeadlineSeconds']} s (DeadlineExceeded): raise "
            f"kubernetes.nodes.{JOB}.timeout_seconds"
        )
    started = any(pod["status"].get("phase") in ("Running", "Succeeded", "Failed") for pod in pods)
    state = "running" if started else "waiting"
    for condition, ended in (("Complete", "succeeded"), ("Failed", "failed")):
        state = ended if condition in conditions else state
    return JobStatus(job["metadata"]["name"], job["metadata"]["creationTimestamp"], state, tuple(reasons))


def _pod_reasons(pod: dict[str, Any]) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod["status"]
    if status.get("reason"):  # Evicted, Preempting, ...
        yield f"pod {name}: {status['reason']}: {status.get('message', '')}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"pod {name}: finds no place: {condition.get('message', '')}"
    for container in status.get("containerStatuses", []):
        state = container["state"]
        waiting, ended = state.get("waiting", {}), state.get("terminated", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            yield f"pod {name}: cannot start: {waiting['reason']}: {waiting.get('message', '')}"
        if ended.get("reason") == "OOMKilled":
            yield (
                f"pod {name}: killed for want of memory (OOMKilled, exit code {ended['exitCode']}) at its limit of "
                f"{_memory(pod)}: raise kubernetes.nodes.{JOB}.memory"
            )
        elif ended.get("reason") not in (None, "Error", "Completed"):
            yield f"pod {name}: {ended['reason']}, exit code {ended['exitCode']}: {ended.get('message', '')}"
        elif ended.get("exitCode"):
            meaning = EXIT_CODES.get(ended["exitCode"], "killed by a signal")
            yield f"pod {name}: exit code {ended['exitCode']}, {meaning}; see kubectl logs {name}"


def _memory(pod: dict[str, Any]) -> str:
    return str(pod["spec"]["containers"][0]["resources"]["limits"]["memory"])


def _belongs(pod: dict[str, Any], job: dict[str, Any]) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).splitlines()[0][:120]
