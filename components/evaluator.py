"""The Evaluator: TFMA inside TFX's own executor, then our gate writes the blessing."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as stock
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from datasets import columns
from evaluation import item_table
from evaluation.eval_config import EXTRACTORS, OUTPUTS, SIGNATURE, TOP_ITEMS, build_eval_config
from evaluation.examples import recommend_examples
from evaluation.gate import Decision, MetricRow, decide
from evaluation.metrics.score_health import FINITE, SPREAD
from evaluation.results import absent_columns, read_arrays, read_rows
from evaluation.slice_discovery import discover
from models.registry import Task
from settings.config import Config
from settings.errors import ConfigError, DataError, InfraValidationError

SPLIT = "test"
GATE_FILE = "gate.json"
METRICS_FILE = "metrics.json"
DETAILS_FILE = "details.json"
ITEMS_FILE = "items.npz"

_log = logging.getLogger(__name__)


class Executor(stock.Executor):
    """Evaluates candidate and baseline in one TFMA run, decides, and writes the blessing."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluate on the test split; see `Evaluator`.

        Raises:
          ConfigError: a slice is asked for on a column that no row holds.
          DataError: there is no test split, or a row lacks its query, item or label.
          InfraValidationError: the candidate lacks the `evaluate` signature.
        """
        config = Config.model_validate_json(exec_properties["config"])
        inputs = dict(input_dict)
        files = _files(artifact_utils.get_single_instance(inputs["examples"]))
        _check_candidate(artifact_utils.get_single_instance(inputs["model"]), config.model.task)
        inputs["baseline_model"] = [
            model for model in inputs.get("baseline_model", []) if _is_comparable(model, config.model.task)
        ]
        discovered = discover(config.evaluation, files)
        items_path = _write_items(inputs["examples"], output_dict["evaluation"], config.evaluation.category_column)
        eval_config = build_eval_config(config, bool(inputs["baseline_model"]), discovered, items_path)
        # TFMA alone: with no threshold in its configuration, the stock executor writes no blessing.
        super().Do(
            inputs,
            output_dict,
            {
                "eval_config": json_format.MessageToJson(eval_config, preserving_proto_field_name=True),
                "example_splits": json.dumps([SPLIT]),
                "custom_extractors": EXTRACTORS[config.model.task],
            },
        )
        evaluation_uri = artifact_utils.get_single_uri(output_dict["evaluation"])
        rows = read_rows(evaluation_uri, config.model.task, config.evaluation)
        absent = absent_columns(rows, config.evaluation)
        if absent:
            raise ConfigError(
                f"evaluation.slices: no row of the test split holds {', '.join(absent)}. Expected a column of the data "
                "(see the schema that SchemaGen wrote), or remove the slice"
            )
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        details = read_arrays(evaluation_uri, config.model.task) | {
            "examples": _examples(inputs["model"], files, items_path)
        }
        _write_blessing(blessing, decide(rows, config.gate), rows, config.gate.confidence, details)
        _describe(blessing, inputs, exec_properties)


class EvaluatorSpec(ComponentSpec):
    """Inputs, outputs and parameters of `Evaluator`."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        "config": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures a model on the `test` split and blesses it or not.

    Outputs:
      evaluation: what TFMA wrote.
      blessing: as the stock Evaluator writes it (BLESSED or NOT_BLESSED, and custom properties), with `gate.json`, a
        list of `evaluation.gate.Verdict`, `metrics.json`, a list of `evaluation.gate.MetricRow`, and `details.json`,
        the arrays of `evaluation.results.read_arrays` and `examples`.

    A baseline that answers another task than the candidate is not compared with: the models' outputs differ.

    Args:
      examples: artifact with a `test` split.
      model: the candidate.
      baseline_model: the model to compare with; may be absent or resolve to nothing.
      config: `Config.to_json()`.
      code: hash of the code that evaluates, so that a change of it is not answered from cache.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        config: str,
        code: str,
        baseline_model: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                config=config,
                code=code,
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def _files(examples: types.Artifact) -> list[str]:
    """Return the files of the test split; there must be some."""
    splits = artifact_utils.decode_split_names(examples.split_names)
    files = []
    if SPLIT in splits:
        (folder,) = artifact_utils.get_split_uris([examples], SPLIT)
        files = fileio.glob(io_utils.all_files_pattern(folder))
    if not files:
        raise DataError(
            f"{examples.uri}: has no {SPLIT!r} split to evaluate on. Found {splits}. "
            "Expected ExampleGen's output; see data.split"
        )
    return sorted(files)


def _write_items(examples: list[types.Artifact], evaluation: list[types.Artifact], categories: str) -> str | None:
    """Write the item table beside what TFMA will write, and return where; None where there are no items."""
    splits = artifact_utils.decode_split_names(artifact_utils.get_single_instance(examples).split_names)
    if columns.ITEMS_SPLIT not in splits:
        return None
    (folder,) = artifact_utils.get_split_uris(examples, columns.ITEMS_SPLIT)
    table = item_table.read(fileio.glob(io_utils.all_files_pattern(folder)), categories)
    path = os.path.join(artifact_utils.get_single_uri(evaluation), ITEMS_FILE)
    fileio.makedirs(os.path.dirname(path))
    table.save(path)
    return path


def _examples(models: list[types.Artifact], files: list[str], items_path: str | None) -> list[dict[str, Any]]:
    """Return example recommendations; none where there is no catalogue to take titles from."""
    if items_path is None:
        return []
    model_dir = path_utils.serving_model_path(artifact_utils.get_single_uri(models))
    return recommend_examples(model_dir, files, item_table.load(items_path))


def _check_candidate(model: types.Artifact, task: Task) -> None:
    """Refuse a model without the outputs that are measured."""
    found, expected = _outputs(model), _expected_outputs(task)
    if not expected <= found:
        raise InfraValidationError(
            f"{model.uri}: signature {SIGNATURE!r} of a {task} model should give {sorted(expected)}. "
            f"Received: {sorted(found)}. See serving/servable.py"
        )


def _is_comparable(baseline: types.Artifact, task: Task) -> bool:
    """Return whether the baseline has the outputs that are measured; say so where it has not."""
    found = _outputs(baseline)
    if _expected_outputs(task) <= found:
        return True
    _log.warning(
        "Baseline %s gives %s, not a %s model's %s: it answers another task, and nothing is compared with it.",
        baseline.uri,
        sorted(found),
        task,
        sorted(_expected_outputs(task)),
    )
    return False


def _expected_outputs(task: Task) -> set[str]:
    return {*OUTPUTS[task], FINITE, SPREAD, *([TOP_ITEMS] if task == "retrieval" else [])}


def _outputs(model: types.Artifact) -> set[str]:
    """Return the names of the `evaluate` signature's outputs, without loading the model."""
    path = os.path.join(path_utils.serving_model_path(model.uri), "saved_model.pb")
    saved_model = saved_model_pb2.SavedModel()
    with fileio.open(path, "rb") as file:
        saved_model.ParseFromString(file.read())
    return {name for graph in saved_model.meta_graphs for name in graph.signature_def[SIGNATURE].outputs}


def _write_blessing(
    blessing: types.Artifact, decision: Decision, rows: list[MetricRow], confidence: float, details: dict[str, Any]
) -> None:
    """Write the answer as the stock Evaluator does, its reasons, the metrics, and what the page draws."""
    name, value = (
        (constants.BLESSED_FILE_NAME, constants.BLESSED_VALUE)
        if decision.blessed
        else (constants.NOT_BLESSED_FILE_NAME, constants.NOT_BLESSED_VALUE)
    )
    files = {
        METRICS_FILE: json.dumps([row.to_json(confidence) for row in rows], indent=1, allow_nan=False),
        DETAILS_FILE: json.dumps(details, allow_nan=False),
        GATE_FILE: json.dumps([verdict.to_json() for verdict in decision.verdicts], indent=1, allow_nan=False),
        name: "",
    }
    for file, text in files.items():
        io_utils.write_string_file(os.path.join(blessing.uri, file), text)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


def _describe(
    blessing: types.Artifact, inputs: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]
) -> None:
    """Say which models the blessing is about, in the properties that TFX's own nodes read."""
    (model,) = inputs["model"]
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    for baseline in inputs["baseline_model"]:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    if "current_component_id" in exec_properties:
        blessing.set_string_custom_property("component_id", exec_properties["current_component_id"])
