"""Transform: what the feature records ask for is learnt on train, and becomes a graph."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils

from datasets.columns import EVENT_SPLITS
from datasets.example_files import ExampleFiles
from settings.features import FeatureList
from transforms.preprocessing import preprocessing_fn


class Executor(base_beam_executor.BaseBeamExecutor):
    """Learns and writes the graph."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the transform graph, as `tft.TFTransformOutput` reads it."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        schema_folder = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_folder))
        output = artifact_utils.get_single_uri(output_dict["transform_graph"])
        features = exec_properties["features"]
        custom_config = {"features": features}
        if earlier := input_dict.get("earlier_graph"):
            custom_config["earlier_graph"] = earlier[0].uri
        (folder,) = artifact_utils.get_split_uris([examples], EVENT_SPLITS[0])
        files = ExampleFiles(io_utils.all_files_pattern(folder), schema=schema)
        records = FeatureList.model_validate({"records": json.loads(features)}).records
        columns = {name for record in records for name in record.sources}
        if columns <= {feature.name for feature in schema.feature}:  # else the preprocessing function names them all
            files = files.Project(sorted(columns))
        temporary = os.path.join(output, ".temporary")
        with self._make_beam_pipeline() as pipeline, tft_beam.Context(temporary, use_deep_copy_optimization=True):
            rows = pipeline | files.BeamSource()
            graph = (rows, files.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
                functools.partial(preprocessing_fn, custom_config=custom_config)
            )
            _ = graph | tft_beam.WriteTransformFn(output)
            metadata = os.path.join(output, tft.TFTransformOutput.RAW_METADATA_DIR)
            _ = tft.DatasetMetadata(schema) | tft_beam.WriteMetadata(metadata, pipeline)
        fileio.rmtree(temporary)


class TransformSpec(ComponentSpec):
    """Inputs, outputs and parameters of Transform."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        "features": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "earlier_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
    }
    OUTPUTS = {"transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph)}  # noqa: RUF012


class Transform(base_beam_component.BaseBeamComponent):
    """The graph that the feature records make, learnt in one pass over train, as TFX's Transform would learn it.

    Nothing but the graph is written: Trainer and servable apply it themselves. Only the columns that a record names are
    read.

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
            features=features,
            code=code,
            transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        )
        super().__init__(spec=spec)
