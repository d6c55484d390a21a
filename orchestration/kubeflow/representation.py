"""TFX's intermediate representation of a pipeline: compiled once a run, kept as a file, read by every node."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration.kubeflow.graph import Graph, graph_of
from settings.config import Config
from settings.errors import ConfigError, DataError

PIPELINE = "pipeline.create_pipeline"
RUN_ID = "pipeline-run-id"
PIPELINE_ROOT = "pipeline-root"


def compile_pipeline(
    config: Config,
    output_root: Path,
    enable_cache: bool = True,
    pipeline_root: str | None = None,
    factory: str = PIPELINE,
    fingerprint: str | None = None,
) -> Any:
    """Return the representation of `config`'s pipeline, its run id still open.

    Args:
      config: the validated configuration.
      output_root: folder of artifacts and served versions, as the nodes see it.
      enable_cache: reuse the outputs of nodes that would do the same again.
      pipeline_root: where artifacts go, if not to `output_root/artifacts`.
      factory: dotted path of the function `(config, output_root, enable_cache, fingerprint) -> Pipeline`.
      fingerprint: of the data; empty: read them.

    Returns:
      `tfx.proto.orchestration.pipeline_pb2.Pipeline`.
    """
    from tfx.dsl.compiler.compiler import Compiler
    from tfx.orchestration.portable import runtime_parameter_utils

    ir = Compiler().compile(_function(factory)(config, output_root, enable_cache, fingerprint))
    if pipeline_root is not None:
        runtime_parameter_utils.substitute_runtime_parameter(ir, {PIPELINE_ROOT: pipeline_root})
    return ir


def shape(config: Config, factory: str = PIPELINE) -> Graph:
    """Return the shape of `config`'s pipeline without reading its data, which only the cluster may be able to see."""
    with tempfile.TemporaryDirectory() as folder:
        return graph_of(compile_pipeline(config, Path(folder), factory=factory, fingerprint="not read"))


def write(ir: Any, path: str) -> None:
    """Write a representation; a second writer of the same run leaves the same file."""
    from google.protobuf import json_format
    from tfx.dsl.io import fileio

    fileio.makedirs(path.rpartition("/")[0])
    with fileio.open(path + ".part", "w") as file:
        file.write(json_format.MessageToJson(ir, indent=1))
    fileio.rename(path + ".part", path, overwrite=True)


def read(path: str, run_id: str) -> Any:
    """Return the representation of one run.

    Raises:
      DataError: the file is missing or is no pipeline.
    """
    from google.protobuf import json_format
    from ml_metadata.proto import metadata_store_pb2  # noqa: F401  makes the messages inside Any known
    from tfx.dsl.io import fileio
    from tfx.orchestration.portable import runtime_parameter_utils
    from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2, platform_config_pb2  # noqa: F401

    if not fileio.exists(path):
        raise DataError(f"{path}: there is no compiled pipeline. Expected the run's first step, prepare, to write it")
    with fileio.open(path) as file:
        text = file.read()
    try:
        ir = json_format.Parse(text, pipeline_pb2.Pipeline())
    except json_format.ParseError as error:
        raise DataError(f"{path}: is not a compiled pipeline: {error}") from None
    runtime_parameter_utils.substitute_runtime_parameter(ir, {RUN_ID: run_id})
    return ir


def _function(path: str) -> Callable[[Config, Path, bool, str | None], Any]:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{path}: is not the dotted path of a function that makes a pipeline ({error})") from error
