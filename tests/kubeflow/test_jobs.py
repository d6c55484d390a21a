from __future__ import annotations

import json
from typing import Any

import pytest

from orchestration.kubeflow.cron import check_cron, for_kubeflow
from orchestration.kubeflow.jobs import manifests
from settings.config import Config
from settings.errors import ConfigError
from settings.kubernetes import KubernetesSettings
from tests.kubeflow.pod_security import restricted_faults


def test_a_job_carries_its_configuration_and_needs_no_database(config: Config, settings: KubernetesSettings) -> None:
    config_map, job = manifests(config, settings)
    assert Config.model_validate_json(config_map["data"]["config.json"]) == config
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["python", "pipeline.py", "run"]
    assert container["args"] == ["--config", "/etc/shortlist/config.json", "--output-root", "/shortlist"]
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    by_name = {volume["name"]: volume for volume in pod["volumes"]}
    assert by_name[mounted["/etc/shortlist"]]["configMap"]["name"] == config_map["metadata"]["name"]
    assert by_name[mounted["/shortlist"]]["persistentVolumeClaim"]["claimName"] == "shortlist-runs"
    assert "shortlist-metadata" not in json.dumps(job)


def test_a_verdict_is_final_and_a_drained_machine_is_not(config: Config, settings: KubernetesSettings) -> None:
    job = manifests(config, settings)[1]["spec"]
    final, drained = job["podFailurePolicy"]["rules"]
    assert (final["action"], final["onExitCodes"]["values"]) == ("FailJob", [2, 3, 4, 5])
    assert drained["action"] == "Ignore"
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # the failure policy demands it


def test_the_same_configuration_has_the_same_names_and_another_has_others(
    config: Config, settings: KubernetesSettings
) -> None:
    changed = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 3})})
    names = [[record["metadata"]["name"] for record in manifests(c, settings)] for c in (config, config, changed)]
    assert names[0] == names[1]
    assert not set(names[0]) & set(names[2])


def test_a_schedule_forbids_overlap_and_keeps_its_name(config: Config, settings: KubernetesSettings) -> None:
    _, schedule = manifests(config, settings, "0 3 * * *", "Europe/Berlin")
    assert (schedule["kind"], schedule["metadata"]["name"]) == ("CronJob", "shortlist-tiny")
    assert schedule["spec"]["concurrencyPolicy"] == "Forbid"
    assert (schedule["spec"]["schedule"], schedule["spec"]["timeZone"]) == ("0 3 * * *", "Europe/Berlin")


@pytest.mark.parametrize("gpu", [None, {"type": "l4"}])
def test_pods_keep_the_restricted_standard(config: Config, gpu: dict[str, Any] | None) -> None:
    settings = KubernetesSettings.model_validate({"image": "x:1", "nodes": {"Job": {"gpu": gpu}}})
    pod = manifests(config, settings, "0 3 * * *")[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert restricted_faults(pod) == []
    limits = pod["containers"][0]["resources"]["limits"]
    assert limits.get("nvidia.com/gpu") == (None if gpu is None else "1")


@pytest.mark.parametrize("good", ["0 3 * * *", "*/15 0-6 1,15 jan-mar mon-fri", "59 23 31 12 7"])
def test_cron_expressions_that_kubernetes_takes(good: str) -> None:
    check_cron(good)
    assert for_kubeflow(good) == f"0 {good}"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("0 3 * *", "five fields.*Received: 4"),
        ("0 0 3 * * *", "five fields.*Received: 6"),
        ("60 3 * * *", "minute should be within 0 to 59"),
        ("0 24 * * *", "hour should be within 0 to 23"),
        ("0 3 0 * *", "day of month"),
        ("0 3 * nov-feb *", "month.*'nov-feb'"),
        ("0 3 * * */0", "day of week"),
        ("nightly", "five fields"),
    ],
)
def test_cron_expressions_that_would_never_fire_are_refused(bad: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_cron(bad)
