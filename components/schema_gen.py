"""SchemaGen: the curated schema where there is one, else the one inferred from train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.schema_gen.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils

from components.inferred_schema import TRAIN, inferred_schema
from settings.errors import ConfigError, DataError


class Executor(base_executor.BaseExecutor):
    """Writes the schema."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the curated schema, or infer one; see `SchemaGen`.

        Raises:
          DataError: there are no statistics of train to infer from.
        """
        curated = exec_properties.get("curated")
        if curated:
            schema = text_format.Parse(curated, schema_pb2.Schema())
        else:
            artifact = artifact_utils.get_single_instance(input_dict["statistics"])
            splits = artifact_utils.decode_split_names(artifact.split_names)
            if TRAIN not in splits:
                raise DataError(f"statistics of {artifact.uri}: hold no split {TRAIN!r}, only {splits}")
            schema = inferred_schema(
                {split: stats_artifact_utils.load_statistics(artifact, split).proto() for split in splits}
            )
        uri = artifact_utils.get_single_uri(output_dict["schema"])
        io_utils.write_pbtxt_file(os.path.join(uri, DEFAULT_FILE_NAME), schema)


class SchemaGenSpec(ComponentSpec):
    """Inputs, outputs and parameters of SchemaGen."""

    PARAMETERS = {"curated": ExecutionParameter(type=str, optional=True)}  # noqa: RUF012 - TFX's form
    INPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}  # noqa: RUF012
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}  # noqa: RUF012


class SchemaGen(base_component.BaseComponent):
    """Gives the schema that ExampleValidator checks and Transform reads by.

    Args:
      statistics: channel of the splits' statistics; an inferred schema rests on `train`.
      schema_path: a reviewed schema (.pbtxt) that replaces the inferred one. Its text, not its path, becomes part of
        the node, so that an edit is never answered from the cache.

    Raises:
      ConfigError: `schema_path` cannot be read or is no schema.
    """

    SPEC_CLASS = SchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, statistics: types.BaseChannel, schema_path: str | None = None):
        super().__init__(
            SchemaGenSpec(
                statistics=statistics,
                schema=types.Channel(type=standard_artifacts.Schema),
                curated=read_schema(schema_path) if schema_path else None,
            )
        )


def read_schema(path: str) -> str:
    """Return the text of a curated schema, proved to be one.

    Raises:
      ConfigError: it cannot be read or is no schema.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        schema = text_format.Parse(text, schema_pb2.Schema())
    except OSError as error:
        raise ConfigError(
            f"data.schema_path: {path} cannot be read ({error.strerror}). Leave it empty to infer the schema"
        ) from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ConfigError(f"data.schema_path: {path} is not a schema in protobuf text form: {error}") from None
    if not schema.feature:
        raise ConfigError(f"data.schema_path: {path} describes no feature. Expected `feature {{ name: ... }}` entries")
    return text
