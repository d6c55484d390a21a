"""Transform: TFX's, learnt on train alone, whose vocabularies may go on from an earlier run's."""

from __future__ import annotations

import json
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.transform import executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import transform_pb2
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from datasets.example_files import ExampleFiles


class Executor(executor.Executor):
    """Runs TFX's Transform."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the transform graph; tell the preprocessing function of the earlier one."""
        if earlier := input_dict.get("earlier_graph"):
            custom_config = json.loads(exec_properties["custom_config"]) | {"earlier_graph": earlier[0].uri}
            exec_properties = {**exec_properties, "custom_config": json.dumps(custom_config)}
        super().Do(input_dict, output_dict, exec_properties)

    def _CreateTFXIO(self, dataset: Any, schema: schema_pb2.Schema) -> ExampleFiles:  # noqa: N802 - TFX's name
        return ExampleFiles(dataset.file_pattern, schema=schema)


class TransformSpec(ComponentSpec):
    """Inputs, outputs and parameters of Transform."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        "preprocessing_fn": ExecutionParameter(type=str),
        "custom_config": ExecutionParameter(type=str),
        "splits_config": ExecutionParameter(type=transform_pb2.SplitsConfig),
        "disable_statistics": ExecutionParameter(type=int),
    }
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "earlier_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
    }
    OUTPUTS = {"transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph)}  # noqa: RUF012


class Transform(base_beam_component.BaseBeamComponent):
    """TFX's Transform with the graph that the feature records make.

    Nothing but the graph is written: Trainer and servable apply it themselves. Nor is a cache of what was learnt span
    by span: a window is read as a whole.

    Args:
      examples: from ExampleGen; learnt from its split `train`.
      schema: of the raw features.
      features: the records of `settings.features` as JSON.
      code: hash of the code that makes the graph; a cache key.
      earlier_graph: whose vocabularies those with `grow` go on from; None, or resolved to nothing: they begin.
    """

    SPEC_CLASS = TransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        features: str,
        code: str = "",
        earlier_graph: types.BaseChannel | None = None,
    ) -> None:
        spec = TransformSpec(
            examples=examples,
            schema=schema,
            earlier_graph=earlier_graph,
            preprocessing_fn="transforms.preprocessing.preprocessing_fn",
            custom_config=json.dumps({"features": features, "code": code}),
            splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train"]),
            disable_statistics=1,
            transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        )
        super().__init__(spec=spec)
