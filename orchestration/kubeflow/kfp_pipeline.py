"""The pipeline as Kubeflow Pipelines 2 gets it: one container component a node, placed by kfp-kubernetes.

    ┌ exit handler ────────────────────────┐
    │ Prepare ─> the nodes, in their order │ ─> Report      runs however the group ended, and ends with its exit code
    └──────────────────────────────────────┘

The file holds no `from __future__ import annotations`: kfp reads the annotations of functions as objects.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration.kubeflow.containers import ENVIRONMENT, PREPARE, Containers, RunParameters
from orchestration.kubeflow.jobs import JOB
from settings.config import Config
from settings.errors import ConfigError
from settings.kubernetes import REPORT, KubernetesSettings, NodeSettings


def write_package(containers: Containers, path: Path) -> None:
    """Write the pipeline as KFP 2 YAML (pipeline spec 2.1 and its Kubernetes platform spec).

    The same containers give the same bytes, so that the file's hash can name its version.

    Raises:
      ConfigError: a node named under `kubernetes.nodes` is not in the pipeline, or the name ends wrongly.
    """
    from kfp import compiler

    # One cluster file serves both ways: the plain Job's resources stand there, too.
    unknown = sorted(set(containers.settings.nodes) - {*containers.graph.upstream, PREPARE, REPORT, JOB})
    if unknown:
        raise ConfigError(
            f"kubernetes.nodes: the pipeline has no node {', '.join(unknown)}. "
            f"Expected one of {', '.join([PREPARE, *containers.graph.upstream, REPORT])}"
        )
    if path.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"{path}: should end in .yaml, which is the one format that holds the platform settings")
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(_pipeline(containers), str(path))


def package_config(path: Path) -> Config:
    """Return the configuration inside a compiled package.

    Raises:
      ConfigError: the file is missing or was not written by `write_package`.
    """
    import yaml

    try:
        spec = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        executors = spec["deploymentSpec"]["executors"].values()
        command = next(
            words
            for words in (executor["container"]["command"] for executor in executors)
            if "orchestration.kubeflow.prepare" in words
        )
        return Config.model_validate_json(command[command.index("--config") + 1])
    except (OSError, yaml.YAMLError, KeyError, TypeError, StopIteration, ValueError) as error:
        raise ConfigError(
            f"{path}: is not a compiled Shortlist pipeline ({type(error).__name__}). Expected the output of `compile`"
        ) from None


def _pipeline(containers: Containers) -> Any:
    from kfp import dsl

    def pipeline(
        overrides: list = [],  # type: ignore[type-arg]  # noqa: B006  kfp reads the default, nothing changes it
        model: str = "",
        data_path: str = "",
        enable_cache: bool = True,
    ) -> None:
        report = _placed(_report(containers)(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER), REPORT, containers.settings)
        with dsl.ExitHandler(report, name="run"):
            first = _prepare(containers)(
                overrides=overrides,
                model=model,
                data_path=data_path,
                enable_cache=enable_cache,
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
            tasks = {PREPARE: _placed(first, PREPARE, containers.settings)}
            for node_id in containers.graph.order():
                task = _node(containers, node_id)(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
                task.after(*(tasks[name] for name in containers.graph.upstream[node_id] or (PREPARE,)))
                tasks[node_id] = _placed(task, node_id, containers.settings)

    return dsl.pipeline(
        name=containers.config.name.replace("_", "-"),
        description=f"Trains, evaluates and pushes {containers.config.model.name}.",
    )(pipeline)


def _prepare(containers: Containers) -> Any:
    # The parameters' order is kfp's own: those of the function.
    def body(overrides: list, model: str, data_path: str, enable_cache: bool, run_id: str):  # type: ignore[no-untyped-def, type-arg]
        run = RunParameters(run_id, overrides, model, data_path, enable_cache)
        return _container(containers, PREPARE, containers.prepare(run))

    return _component(PREPARE, body)


def _node(containers: Containers, node_id: str) -> Any:
    def body(run_id: str):  # type: ignore[no-untyped-def]
        return _container(containers, node_id, containers.node(node_id, RunParameters(run_id)))

    return _component(node_id, body)


def _report(containers: Containers) -> Any:
    from kfp import dsl

    def body(run_id: str, page: dsl.Output[dsl.HTML], metrics: dsl.Output[dsl.Metrics]):  # type: ignore[no-untyped-def]
        command = [
            *containers.report(RunParameters(run_id)),
            "--page",
            page.path,
            "--executor-input",
            dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
        ]
        return _container(containers, REPORT, command)

    return _component(REPORT, body)


def _component(node_id: str, body: Callable[..., Any]) -> Any:
    from kfp import dsl

    body.__name__ = node_id
    return dsl.container_component(body)


def _container(containers: Containers, node_id: str, command: list[Any]) -> Any:
    from kfp import dsl

    return dsl.ContainerSpec(
        image=containers.settings.node(node_id).image or containers.settings.image, command=command
    )


def _placed(task: Any, node_id: str, settings: KubernetesSettings) -> Any:
    """Give the task its resources, its place in the cluster, its files and its second chances."""
    from kfp import kubernetes

    node = settings.node(node_id)
    # Not by the task's setters: each walks the call stack through every loaded module, with TFX for seconds.
    task.container_spec.env = dict(ENVIRONMENT)
    task.container_spec.resources = _resources(node)
    task.set_caching_options(False)  # TFX decides, by content
    task.set_display_name(node_id)
    task.set_retry(
        node.retries.limit,
        backoff_duration=f"{node.retries.first_wait_seconds}s",
        backoff_factor=2.0,
        backoff_max_duration=f"{node.retries.longest_wait_seconds}s",
    )
    kubernetes.set_timeout(task, node.timeout_seconds)
    kubernetes.set_image_pull_policy(task, settings.image_pull_policy)
    kubernetes.set_security_context(task, run_as_user=settings.user, run_as_group=settings.user, run_as_non_root=True)
    kubernetes.empty_dir_mount(task, volume_name="tmp", mount_path="/tmp")
    kubernetes.add_pod_label(task, "app.kubernetes.io/name", "shortlist")
    kubernetes.add_pod_label(task, "app.kubernetes.io/component", node_id)
    if settings.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(settings.image_pull_secrets))
    for volume in settings.volumes(node_id):
        kubernetes.mount_pvc(task, pvc_name=volume.claim, mount_path=volume.path, sub_path=volume.sub_path)
    for files in settings.secrets(node_id):
        kubernetes.use_secret_as_volume(task, secret_name=files.secret, mount_path=files.path)
    for key, value in node.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in settings.tolerations(node_id):
        kubernetes.add_toleration(task, toleration.key, toleration.operator, toleration.value, toleration.effect)
    expressions = [json.loads(requirement.model_dump_json()) for requirement in settings.requirements(node_id)]
    if expressions:
        kubernetes.add_node_affinity(task, match_expressions=expressions)
    return task


def _resources(node: NodeSettings) -> Any:
    from kfp.dsl import structures

    return structures.ResourceSpec(
        cpu_request=node.cpu,
        cpu_limit=node.cpu_limit or node.cpu,
        memory_request=node.memory,
        memory_limit=node.memory,
        accelerator_type=node.gpu.resource if node.gpu else None,
        accelerator_count=str(node.gpu.count) if node.gpu else None,
    )
