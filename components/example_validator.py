"""The ExampleValidator that stops the run: stock TFX writes anomalies down and goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.components.example_validator import executor
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils, json_utils

from components.anomaly_table import findings, render
from components.distances import drift, request_statistics, skew
from components.inferred_schema import TRAIN
from datasets import columns
from settings.errors import DataAnomaliesError
from settings.validation import ValidationSettings

# Custom property of the anomalies: the statistics that passed.
STATISTICS_ID = "statistics_id"


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
          DataAnomaliesError: with one line a broken rule: split, feature, rule, what was found, what was allowed.
          DataError: the requests that serving was asked cannot be read.
        """
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        schema_uri = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        anomalies = {
            split: _read(os.path.join(artifact_utils.get_split_uri([artifact], split), executor.DEFAULT_FILE_NAME))
            for split in artifact_utils.decode_split_names(artifact.split_names)
        }
        schema = io_utils.SchemaReader().read(schema_uri)
        found = findings(anomalies, schema)
        rules = ValidationSettings.model_validate_json(exec_properties.get("rules") or "{}")
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        previous = input_dict.get("previous") or []
        if rules.drift and previous:
            found += drift(rules.drift, schema, _train(statistics), _train(previous[0]))
        if rules.skew:
            found += skew(rules.skew, schema, _train(statistics), request_statistics(Path(str(rules.requests_path))))
        # What the stock executor returns is what is published, not the artifact that it was given.
        (published,) = result.output_artifacts["anomalies"].artifacts
        published.custom_properties[STATISTICS_ID].int_value = statistics.id
        if found:
            broken = "1 rule" if len(found) == 1 else f"{len(found)} rules"
            raise DataAnomaliesError(
                f"The data break {broken}; nothing was trained.\n\n{render(found)}\n\n"
                "Correct the data and run again. If the data are right, a rule is too strict: validation.drift and "
                f"validation.skew hold those of distances; the others are the schema's: copy {schema_uri} next to "
                "your configuration, correct it there, and name it in data.schema_path."
            )
        return result


class ExampleValidatorSpec(standard_component_specs.ExampleValidatorSpec):
    """Inputs, outputs and parameters of ExampleValidator."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        **standard_component_specs.ExampleValidatorSpec.PARAMETERS,
        "rules": ExecutionParameter(type=str, optional=True),
        "requests_fingerprint": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {  # noqa: RUF012
        **standard_component_specs.ExampleValidatorSpec.INPUTS,
        "previous": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }


class ExampleValidator(base_component.BaseComponent):
    """Checks the events of every split against the schema, and train for drift and skew; stops the run where they fail.

    The splits `items` and `users` repeat what the events hold and are not checked.

    Args:
      statistics: channel of the splits' statistics.
      schema: channel of the schema.
      rules: the `validation` section of the configuration as JSON; None: the schema alone.
      requests_fingerprint: hash of the requests' content, the cache key for skew.
      previous: channel of the statistics that drift is measured from; empty or None: there is nothing to compare with.
    """

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        rules: str | None = None,
        requests_fingerprint: str | None = None,
        previous: types.BaseChannel | None = None,
    ):
        super().__init__(
            ExampleValidatorSpec(
                statistics=statistics,
                schema=schema,
                exclude_splits=json_utils.dumps([columns.ITEMS_SPLIT, columns.USERS_SPLIT]),
                rules=rules,
                requests_fingerprint=requests_fingerprint,
                previous=previous,
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )


def _train(statistics: types.Artifact) -> statistics_pb2.DatasetFeatureStatisticsList:
    return stats_artifact_utils.load_statistics(statistics, TRAIN).proto()


def _read(path: str) -> anomalies_pb2.Anomalies:
    with fileio.open(path, "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())
