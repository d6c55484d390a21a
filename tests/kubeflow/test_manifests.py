from __future__ import annotations

import copy
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.kubeflow.cluster_file import cluster_settings
from orchestration.kubeflow.job_workers import LABELS
from orchestration.kubeflow.jobs import manifests
from settings.config import Config
from settings.kubernetes import KubernetesSettings
from tests.kubeflow.pod_security import restricted_faults

KUBERNETES = Path(__file__).resolve().parents[2] / "kubernetes"
BUILDS = sorted(path.parent.relative_to(KUBERNETES).as_posix() for path in KUBERNETES.rglob("kustomization.yaml"))
# Kinds of other projects: their schemas are not part of Kubernetes.
CUSTOM = {"ServiceMonitor", "InferenceService", "FlinkDeployment"}
# autoscaling/v2 and batch/v1 CronJob time zones are stable from 1.27 on; 1.29 is the oldest that DESIGN asks for.
VERSIONS = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]


@functools.cache
def build(name: str) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed; it brings kustomize")
    done = subprocess.run(["kubectl", "kustomize", KUBERNETES / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [record for record in yaml.safe_load_all(done.stdout) if record]


def jobs(config: Config) -> list[dict[str, Any]]:
    clusters = sorted((KUBERNETES / "clusters").glob("*.yaml"))
    settings = [cluster_settings(config, path) for path in clusters]
    return [
        record
        for one in settings
        for cron in (None, "0 3 * * *")
        for workers in (1, 3)
        for record in manifests(config, one, cron, workers=workers)
    ]


def pods(records: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for record in records:
        spec = record.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in spec.get("template", {}).get("spec", {}):
            yield f"{record['kind']} {record['metadata']['name']}", spec["template"]["spec"]


def test_there_is_something_to_build() -> None:
    assert {
        "beam/flink",
        "beam/spark",
        "base",
        "nightly",
        "overlays/dev",
        "overlays/prod",
        "serving/kserve",
        "serving/tensorflow-serving",
    } <= set(BUILDS)
    assert not list(KUBERNETES.rglob("__init__.py"))  # would shadow the kubernetes client


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_fits_the_schemas_of_kubernetes(version: str, config: Config) -> None:
    import kubernetes_validate

    records = [record for name in BUILDS for record in build(name)] + jobs(config)
    checked = [record for record in records if record["kind"] not in CUSTOM]
    assert len(checked) > 40
    for record in checked:
        kubernetes_validate.validate(record, version, strict=True)


@pytest.mark.parametrize("name", BUILDS)
def test_every_pod_keeps_the_restricted_standard(name: str) -> None:
    assert {what: faults for what, pod in pods(build(name)) if (faults := restricted_faults(pod))} == {}


def test_pods_that_jobs_make_keep_the_restricted_standard(config: Config) -> None:
    found = list(pods(jobs(config)))
    assert len(found) >= 8
    assert {what: faults for what, pod in found if (faults := restricted_faults(pod))} == {}


def test_flinks_pods_keep_the_restricted_standard_but_for_the_token_that_starts_workers() -> None:
    spec = next(record for record in build("beam/flink") if record["kind"] == "FlinkDeployment")["spec"]
    pod, workers = spec["podTemplate"]["spec"], spec["taskManager"]["podTemplate"]["spec"]
    main = {**pod["containers"][0], "resources": dict.fromkeys(("requests", "limits"), spec["taskManager"]["resource"])}
    merged = {**pod, "containers": [main, *workers["containers"]]}
    assert restricted_faults(merged) == ["pod: mounts a service account token"]
    for image in (spec["image"], workers["containers"][0]["image"]):
        assert re.search(r"@sha256:[0-9a-f]{64}$", image)


# The base of Beam's engines is not applied by itself: each names the job server's image.
@pytest.mark.parametrize("name", [name for name in BUILDS if name != "beam/base"])
def test_every_image_is_named_by_digest(name: str) -> None:
    for what, pod in pods(build(name)):
        for container in pod["containers"]:
            assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"]), what


@pytest.mark.parametrize("name", ["overlays/dev", "overlays/prod"])
def test_an_overlay_refers_only_to_what_it_holds(name: str) -> None:
    records = build(name)
    held = {(record["kind"], record["metadata"]["name"]) for record in records}
    outside = {("Secret", "shortlist-metadata")}  # made by hand, never in Git
    for what, pod in pods(records):
        assert ("ServiceAccount", pod["serviceAccountName"]) in held, what
        for volume in pod.get("volumes", []):
            for key, kind, field in (
                ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
                ("configMap", "ConfigMap", "name"),
                ("secret", "Secret", "secretName"),
            ):
                if key in volume:
                    assert (kind, volume[key][field]) in held | outside, what
    for record in records:
        if record["kind"] == "Service":
            # The pods of `kubeflow job --workers` are no part of an overlay.
            labels = [LABELS]
            labels += [pod_labels(other) for other in records if other["kind"] in {"Deployment", "StatefulSet"}]
            assert any(record["spec"]["selector"].items() <= mine.items() for mine in labels), record["metadata"][
                "name"
            ]


def test_the_nightly_schedule_is_what_the_command_prints_but_for_where_the_configuration_lies(config: Config) -> None:
    (static,) = build("nightly")
    printed = manifests(config, KubernetesSettings(image="x:1", namespace="shortlist"), "0 3 * * *")[1]

    def comparable(schedule: dict[str, Any]) -> dict[str, Any]:
        spec = copy.deepcopy(schedule["spec"])
        pod = spec["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        for key in ("image", "imagePullPolicy", "args", "resources", "volumeMounts"):
            del container[key]
        del spec["jobTemplate"]["metadata"], spec["jobTemplate"]["spec"]["template"]["metadata"]
        del pod["volumes"]
        pod.pop("affinity", None)
        return spec

    assert comparable(static) == comparable(printed)


def pod_labels(record: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = record["spec"]["template"]["metadata"]["labels"]
    return labels


@pytest.mark.parametrize("name", ["overlays/dev", "overlays/prod"])
def test_traffic_is_denied_unless_allowed_and_roles_grant_no_wildcard_and_no_secret(name: str) -> None:
    records = build(name)
    deny = next(record for record in records if record["metadata"]["name"] == "default-deny")
    assert (deny["spec"]["podSelector"], deny["spec"]["policyTypes"]) == ({}, ["Ingress", "Egress"])
    rules = [rule for record in records if record["kind"] == "Role" for rule in record["rules"]]
    assert rules
    assert not [rule for rule in rules if "*" in rule["verbs"] + rule["resources"] or "secrets" in rule["resources"]]
    assert not [record for record in records if record["kind"] in {"ClusterRole", "ClusterRoleBinding", "Secret"}]


@pytest.mark.parametrize("name", BUILDS)
def test_no_variable_carries_a_secret(name: str) -> None:
    for what, pod in pods(build(name)):
        for container in pod["containers"]:
            for variable in container.get("env", []):
                assert "secretKeyRef" not in variable.get("valueFrom", {}), what
                assert "PASSWORD" not in variable["name"] or variable["name"].endswith("_FILE"), what
