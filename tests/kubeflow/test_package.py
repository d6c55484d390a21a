from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.kubeflow.containers import Containers
from orchestration.kubeflow.graph import Graph
from orchestration.kubeflow.kfp_pipeline import package_config, write_package
from orchestration.kubeflow.package_check import check_package, faults
from settings.errors import ConfigError
from settings.kubernetes import KubernetesSettings
from tests.kubeflow.conftest import TINY, TINY_GRAPH


@pytest.fixture
def package(containers: Containers, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    write_package(containers, path)
    return path


def documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    spec, platform = yaml.safe_load_all(path.read_text())
    return spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_a_package_is_sound_and_kfp_loads_it(package: Path) -> None:
    from kfp import components

    check_package(package)
    assert components.load_component_from_file(str(package)).name == "tiny"


def test_every_node_waits_for_its_inputs_and_the_report_for_all(package: Path) -> None:
    spec, _ = documents(package)
    inner = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert {task: body.get("dependentTasks", []) for task, body in inner.items()} == {
        "prepare": [],
        "numbers": ["prepare"],
        "doubler": ["numbers"],
        "baseline": ["doubler"],
        "publisher": ["baseline", "doubler"],
    }
    report = spec["root"]["dag"]["tasks"]["report"]
    assert report["dependentTasks"] == ["exit-handler-1"]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert all(body["cachingOptions"] == {} for body in inner.values())  # kfp's own cache is off


def test_resources_place_and_files_reach_the_platform_spec(containers: Containers, tmp_path: Path) -> None:
    settings = KubernetesSettings.model_validate(
        {
            "image": "registry.example/shortlist:1",
            "image_pull_secrets": ["registry"],
            "nodes": {
                "Doubler": {
                    "image": "registry.example/shortlist:gpu",
                    "cpu": "4",
                    "memory": "24Gi",
                    "gpu": {"type": "l4", "count": 2},
                    "node_selector": {"pool": "training"},
                    "tolerations": [{"key": "spot", "effect": "NoSchedule"}],
                    "retries": {"limit": 4, "first_wait_seconds": 60, "longest_wait_seconds": 900},
                    "timeout_seconds": 7200,
                    "volumes": [{"claim": "data", "path": "/data"}],
                    "secrets": [{"secret": "warehouse", "path": "/var/run/warehouse"}],
                }
            },
        }
    )
    path = tmp_path / "placed.yaml"
    write_package(Containers(containers.config, settings, TINY_GRAPH, TINY), path)
    spec, platform = documents(path)
    container = spec["deploymentSpec"]["executors"]["exec-doubler"]["container"]
    assert container["image"] == "registry.example/shortlist:gpu"
    assert container["resources"]["resourceMemoryLimit"] == "24Gi"
    assert container["resources"]["resourceCpuRequest"] == "4"
    assert container["resources"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert container["resources"]["accelerator"]["resourceCount"] == "2"
    placed = platform["exec-doubler"]
    assert placed["nodeSelector"]["labels"] == {"pool": "training"}
    assert placed["nodeAffinity"][0]["matchExpressions"] == [
        {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-L4"]}
    ]
    assert [toleration["key"] for toleration in placed["tolerations"]] == ["spot", "nvidia.com/gpu"]
    assert placed["activeDeadlineSeconds"] == "7200"
    assert [mount["mountPath"] for mount in placed["pvcMount"]] == ["/shortlist", "/data"]
    assert {mount["secretName"]: mount["mountPath"] for mount in placed["secretAsVolume"]} == {
        "shortlist-metadata": "/var/run/shortlist/metadata",
        "warehouse": "/var/run/warehouse",
    }
    assert placed["imagePullSecret"][0]["secretName"] == "registry"
    assert placed["securityContext"]["runAsNonRoot"] is True
    retry = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["doubler"]["retryPolicy"]
    assert retry == {
        "maxRetryCount": 4,
        "backoffDuration": "60s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "900s",
    }
    assert platform["exec-numbers"]["nodeAffinity"][0]["matchExpressions"][0]["operator"] == "DoesNotExist"


def test_the_same_configuration_gives_the_same_bytes_and_comes_back_out(
    containers: Containers, package: Path, tmp_path: Path
) -> None:
    write_package(containers, tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_bytes() == package.read_bytes()
    assert package_config(package) == containers.config


def test_a_node_that_does_not_exist_is_named(containers: Containers, tmp_path: Path) -> None:
    settings = KubernetesSettings.model_validate({"image": "x:1", "nodes": {"Trianer": {}}})
    with pytest.raises(ConfigError, match=r"no node Trianer.*Doubler"):
        write_package(Containers(containers.config, settings, TINY_GRAPH, TINY), tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match=r"should end in \.yaml"):
        write_package(containers, tmp_path / "x.json")


def dangling(spec: dict[str, Any]) -> None:
    spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["doubler"]["dependentTasks"] = ["nobody"]


def circle(spec: dict[str, Any]) -> None:
    spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["prepare"]["dependentTasks"] = ["publisher"]


def undeclared_input(spec: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["exec-numbers"]["container"]["command"].append(
        "{{$.inputs.parameters['span']}}"
    )


def value_not_passed(spec: dict[str, Any]) -> None:
    del spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["numbers"]["inputs"]["parameters"]["run_id"]


def source_missing(spec: dict[str, Any]) -> None:
    del spec["components"]["comp-exit-handler-1"]["inputDefinitions"]["parameters"]["pipelinechannel--model"]


def no_executor(spec: dict[str, Any]) -> None:
    del spec["deploymentSpec"]["executors"]["exec-baseline"]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (dangling, "doubler waits for nobody"),
        (circle, "in a circle"),
        (undeclared_input, "names inputs.parameters['span']"),
        (value_not_passed, "numbers: gets no value for run_id"),
        (source_missing, "takes model from pipelinechannel--model"),
        (no_executor, "comp-baseline: has no executor"),
    ],
)
def test_what_kfp_lets_pass_is_found(package: Path, harm: Callable[[dict[str, Any]], None], words: str) -> None:
    spec, _ = documents(package)
    assert list(faults(spec, {})) == []
    broken = copy.deepcopy(spec)
    harm(broken)
    found = list(faults(broken, {}))
    assert any(words in fault for fault in found), found
    package.write_text(yaml.safe_dump(broken))
    with pytest.raises(ConfigError, match="is not a sound pipeline"):
        check_package(package)


@pytest.mark.parametrize(
    ("upstream", "words"),
    [({"a": ("b",)}, "a waits for b"), ({"a": ("b",), "b": ("a",)}, "circle")],
)
def test_a_graph_with_loose_ends_is_refused(upstream: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Graph(upstream)


@pytest.mark.e2e
@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_compiles(path: Path, tmp_path: Path, settings: KubernetesSettings) -> None:
    from orchestration.kubeflow.representation import shape
    from settings.config import load

    config = load(path)
    graph = shape(config)
    assert set(graph.upstream["Pusher"]) == {"Trainer", "Evaluator", "InfraValidator"}
    write_package(Containers(config, settings, graph), tmp_path / "package.yaml")
    check_package(tmp_path / "package.yaml")
    assert package_config(tmp_path / "package.yaml") == config
