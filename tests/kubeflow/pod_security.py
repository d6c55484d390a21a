"""The Pod Security Standard `restricted`, and what the house asks for beyond it, as a list of faults.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def restricted_faults(pod: dict[str, Any]) -> list[str]:
    """Return what a pod spec breaks, one line each."""
    return [*_pod(pod), *(fault for container in _containers(pod) for fault in _container(container, pod))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def _pod(pod: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"pod: {key}"
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {kinds}"
    if pod.get("automountServiceAccountToken") is not False:
        yield "pod: mounts a service account token"


def _container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    name, own = container["name"], container.get("securityContext", {})
    merged = {**pod.get("securityContext", {}), **own}
    if merged.get("runAsNonRoot") is not True or merged.get("runAsUser") in (None, 0):
        yield f"{name}: may run as root"
    if merged.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{name}: no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield f"{name}: may gain privileges"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
        yield f"{name}: keeps capabilities"
    if own.get("readOnlyRootFilesystem") is not True:
        yield f"{name}: may write its root file system"
    for side in ("requests", "limits"):
        if not {"cpu", "memory"} <= set(container.get("resources", {}).get(side, {})):
            yield f"{name}: has no {side}"
