"""Checks of a compiled package that kfp's own loader does not make.

kfp accepts a task that waits for one that does not exist, and a command that names an input the component lacks; both
come to light only when the pod does not start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from orchestration.kubeflow.graph import Graph
from settings.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']+)'\]")


def check_package(path: Path) -> None:
    """Raise unless a compiled package is a whole one.

    Raises:
      ConfigError: with every fault found.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from None
    if not documents or not isinstance(documents[0], dict) or documents[0].get("schemaVersion") != "2.1.0":
        raise ConfigError(f"{path}: should be a KFP pipeline of schemaVersion 2.1.0")
    found = [*_protobuf(documents[0]), *faults(documents[0], documents[1] if len(documents) > 1 else {})]
    if found:
        raise ConfigError(f"{path}: is not a sound pipeline:\n  " + "\n  ".join(found))


def faults(spec: dict[str, Any], platform: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each reference in a pipeline spec that leads nowhere.

    Args:
      spec: the pipeline spec.
      platform: the platform spec, `{}` where there is none.
    """
    components, executors = spec.get("components", {}), spec.get("deploymentSpec", {}).get("executors", {})
    for name, component in {"root": spec["root"], **components}.items():
        if "dag" in component:
            yield from _dag_faults(name, component, components)
            continue
        executor = executors.get(component.get("executorLabel"))
        if executor is None:
            yield f"{name}: has no executor {component.get('executorLabel')!r}"
            continue
        yield from _command_faults(name, component, executor["container"])
    placed = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    yield from (f"platform: places {name}, which does not exist" for name in sorted(set(placed) - set(executors)))


def _protobuf(spec: dict[str, Any]) -> Iterator[str]:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        yield f"protobuf: {error}"


def _dag_faults(name: str, component: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    tasks = component["dag"]["tasks"]
    given = _parameters(component, "inputDefinitions")
    try:
        Graph({task: tuple(body.get("dependentTasks", ())) for task, body in tasks.items()})
    except ConfigError as error:
        yield f"{name}: {error}"
    for task, body in tasks.items():
        target = components.get(body["componentRef"]["name"])
        if target is None:
            yield f"{name}.{task}: is of component {body['componentRef']['name']}, which does not exist"
            continue
        passed = body.get("inputs", {}).get("parameters", {})
        wanted = _parameters(target, "inputDefinitions")
        for parameter in sorted(set(wanted) - set(passed)):
            if "defaultValue" not in wanted[parameter] and not wanted[parameter].get("isOptional"):
                yield f"{name}.{task}: gets no value for {parameter}"
        for parameter, value in passed.items():
            source = value.get("componentInputParameter")
            if parameter not in wanted:
                yield f"{name}.{task}: passes {parameter}, which its component does not take"
            if source is not None and source not in given:
                yield f"{name}.{task}: takes {parameter} from {source}, which {name} does not have"


def _command_faults(name: str, component: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    if not container.get("image"):
        yield f"{name}: has no image"
    for word in [*container.get("command", []), *container.get("args", [])]:
        for side, kind, key in _PLACEHOLDER.findall(word):
            if key not in component.get(f"{side[:-1]}Definitions", {}).get(kind, {}):
                yield f"{name}: its command names {side}.{kind}[{key!r}], which the component does not declare"


def _parameters(component: dict[str, Any], side: str) -> dict[str, Any]:
    parameters: dict[str, Any] = component.get(side, {}).get("parameters", {})
    return parameters
