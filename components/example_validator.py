"""The ExampleValidator that stops the run: stock TFX writes anomalies down and goes on."""

from __future__ import annotations

import os
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.anomaly_table import findings, render
from datasets import columns
from settings.errors import DataAnomaliesError


class Executor(executor.Executor):
    """Validates as TFX does, then raises if there was anything to report."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Check each split's statistics against the schema; see `ExampleValidator`.

        Raises:
          DataAnomaliesError: with one line a broken rule: split, feature, rule, what was found, what was expected.
        """
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        schema_uri = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        anomalies = {
            split: _read(os.path.join(artifact_utils.get_split_uri([artifact], split), executor.DEFAULT_FILE_NAME))
            for split in artifact_utils.decode_split_names(artifact.split_names)
        }
        found = findings(anomalies, io_utils.SchemaReader().read(schema_uri))
        if found:
            rules = "1 rule" if len(found) == 1 else f"{len(found)} rules"
            raise DataAnomaliesError(
                f"The data break {rules} of the schema; nothing was trained.\n\n{render(found)}\n\n"
                f"Correct the data and run again. If the data are right, the schema is too strict: copy {schema_uri} "
                "next to your configuration, correct it there, and name it in data.schema_path."
            )
        return result


class ExampleValidator(component.ExampleValidator):
    """Checks the events of every split against the schema, and stops the run where they break it.

    The splits `items` and `users` repeat what the events hold and are not checked.

    Args:
      statistics: channel of the splits' statistics.
      schema: channel of the schema.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, statistics: types.BaseChannel, schema: types.BaseChannel):
        super().__init__(
            statistics=statistics, schema=schema, exclude_splits=[columns.ITEMS_SPLIT, columns.USERS_SPLIT]
        )


def _read(path: str) -> anomalies_pb2.Anomalies:
    with fileio.open(path, "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())
