"""The way without Kubeflow: one Job, or one CronJob, whose pod runs the whole DAG as `pipeline.py run` does.

For a cluster with nothing installed. The pod keeps TFX's own store on the claim, so no database is needed; one run at a
time is what makes that safe, and `concurrencyPolicy: Forbid` sees to it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from orchestration.kubeflow.containers import ENVIRONMENT
from orchestration.kubeflow.cron import check_cron
from orchestration.kubeflow.job_workers import spread
from settings.config import Config
from settings.kubernetes import KubernetesSettings, NodeRequirement, Toleration

# The step's name under `kubernetes.nodes`: resources and placement of the one pod.
JOB = "Job"
CONFIG_FOLDER = "/etc/shortlist"
INSTANCE_LABEL = "app.kubernetes.io/instance"
# Wrong configuration, anomalies, not blessed, infra validation: the same input would end the same way.
FINAL_EXIT_CODES = (2, 3, 4, 5)


def instance(config: Config) -> str:
    """Return what all Jobs of a configuration carry as the label `INSTANCE_LABEL`."""
    return f"shortlist-{config.name.replace('_', '-')}"


def manifests(
    config: Config,
    settings: KubernetesSettings,
    cron: str | None = None,
    time_zone: str = "Etc/UTC",
    workers: int = 1,
) -> list[dict[str, Any]]:
    """Return a ConfigMap with the configuration, and the Job or CronJob that runs it.

    The names carry a digest of the configuration and settings: applying the same twice changes nothing, and a changed
    configuration never alters what a running pod reads.

    Args:
      config: what the run does.
      settings: where it does it; resources and placement are those of the node named `Job`.
      cron: five fields; None: one Job, now.
      time_zone: in which `cron` is meant.
      workers: pods that train together; the configuration's `training.workers`.

    Raises:
      ConfigError: the cron expression is wrong.
    """
    digest = hashlib.sha256((config.to_json() + settings.model_dump_json()).encode()).hexdigest()[:10]
    name = instance(config)
    labels = {"app.kubernetes.io/name": "shortlist", INSTANCE_LABEL: name}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-{digest}", "namespace": settings.namespace, "labels": labels},
        "immutable": True,
        "data": {"config.json": json.dumps(json.loads(config.to_json()), indent=1)},
    }
    job = _job(settings, f"{name}-{digest}", labels)
    if workers > 1:
        job = spread(job, workers, settings.output_root.path)
    if cron is None:
        metadata = {"name": f"{name}-{digest}", "namespace": settings.namespace, "labels": labels}
        return [config_map, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job}]
    check_cron(cron)
    schedule = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": settings.namespace, "labels": labels},
        "spec": {
            "schedule": cron,
            "timeZone": time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,  # after an outage the missed nights are not made up for
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
        },
    }
    return [config_map, schedule]


def _job(settings: KubernetesSettings, config_map: str, labels: dict[str, str]) -> dict[str, Any]:
    node = settings.node(JOB)
    return {
        "backoffLimit": node.retries.limit,
        "activeDeadlineSeconds": node.timeout_seconds,
        "ttlSecondsAfterFinished": 7 * 24 * 3600,
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": list(FINAL_EXIT_CODES)}},
                # A machine that was drained is no fault of the run.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": {"metadata": {"labels": labels}, "spec": _pod(settings, config_map)},
    }


def _pod(settings: KubernetesSettings, config_map: str) -> dict[str, Any]:
    node = settings.node(JOB)
    limits = {"cpu": node.cpu_limit or node.cpu, "memory": node.memory}
    requests = {"cpu": node.cpu, "memory": node.memory}
    if node.gpu is not None:
        limits[node.gpu.resource] = requests[node.gpu.resource] = str(node.gpu.count)
    claims = settings.volumes(JOB)
    volumes: list[dict[str, Any]] = [
        {"name": "config", "configMap": {"name": config_map}},
        {"name": "tmp", "emptyDir": {}},
        *(
            {"name": f"claim-{index}", "persistentVolumeClaim": {"claimName": volume.claim}}
            for index, volume in enumerate(claims)
        ),
        *(
            {"name": f"secret-{index}", "secret": {"secretName": files.secret, "defaultMode": 0o440}}
            for index, files in enumerate(node.secrets)
        ),
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
        *(
            {"name": f"claim-{index}", "mountPath": volume.path, "subPath": volume.sub_path}
            for index, volume in enumerate(claims)
        ),
        *(
            {"name": f"secret-{index}", "mountPath": files.path, "readOnly": True}
            for index, files in enumerate(node.secrets)
        ),
    ]
    container = {
        "name": "shortlist",
        "image": node.image or settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "pipeline.py", "run"],
        "args": ["--config", f"{CONFIG_FOLDER}/config.json", "--output-root", settings.output_root.path],
        "env": [{"name": key, "value": value} for key, value in ENVIRONMENT.items()],
        "resources": {"requests": requests, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": settings.user,
            "runAsGroup": settings.user,
            "fsGroup": settings.user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [_expression(entry) for entry in settings.requirements(JOB)]}
                    ]
                }
            }
        },
        "containers": [container],
        "volumes": volumes,
    }
    if not settings.requirements(JOB):
        del pod["affinity"]
    if node.node_selector:
        pod["nodeSelector"] = dict(node.node_selector)
    if tolerations := settings.tolerations(JOB):
        pod["tolerations"] = [_toleration(entry) for entry in tolerations]
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return pod


def _expression(requirement: NodeRequirement) -> dict[str, Any]:
    expression: dict[str, Any] = {"key": requirement.key, "operator": requirement.operator}
    return expression | ({"values": list(requirement.values)} if requirement.values else {})


def _toleration(toleration: Toleration) -> dict[str, Any]:
    return {key: value for key, value in toleration.model_dump().items() if value is not None}
