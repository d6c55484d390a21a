"""The InfraValidator: the exported model is loaded and asked in a process of its own."""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from serving.isolated_check import CheckResult, check_in_fresh_process
from settings.errors import DataError

SPLIT = "test"
CHECK_FILE = "infra_check.json"
# As TFX's own InfraValidator writes it.
BLESSED_FILE, NOT_BLESSED_FILE, BLESSED_PROPERTY = "INFRA_BLESSED", "INFRA_NOT_BLESSED", "blessed"


class Executor(base_executor.BaseExecutor):
    """Checks a model and writes the blessing; see `InfraValidator`."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Check and write.

        Raises:
          DataError: there is no test split to ask with.
          InfraValidationError: the check came to no verdict (time, memory, a crash), so nothing may be remembered.
        """
        model = artifact_utils.get_single_instance(input_dict["model"])
        files = _files_of_split(artifact_utils.get_single_instance(input_dict["examples"]))
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        result = check_in_fresh_process(
            path_utils.serving_model_path(model.uri),
            files,
            timeout_seconds=exec_properties["timeout_seconds"],
            memory_limit_mib=exec_properties["memory_limit_mib"] or None,
        )
        _write_blessing(blessing, result)


class InfraValidatorSpec(ComponentSpec):
    """Inputs, outputs and parameters of `InfraValidator`."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        "timeout_seconds": ExecutionParameter(type=float),
        "memory_limit_mib": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}  # noqa: RUF012


class InfraValidator(base_component.BaseComponent):
    """Blesses a model that loads and answers, as a model server would see it.

    A verdict is written; a check that came to none (time, memory, a crash) raises, so that the next run asks again
    instead of taking the answer from cache.

    Outputs:
      blessing: `INFRA_BLESSED` or `INFRA_NOT_BLESSED`, custom property `blessed` 1 or 0 and `reason`, as TFX's own
        nodes read it; and `infra_check.json`, a `serving.isolated_check.CheckResult`.

    Args:
      model: exported under `Format-Serving`.
      examples: artifact with a `test` split of raw rows.
      timeout_seconds: of processor time for the whole check, and six times as much by the clock.
      memory_limit_mib: resident memory of the check; 0: no limit.
      code: hash of the code that checks, so that a change of it is not answered from cache.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        timeout_seconds: float = 300.0,
        memory_limit_mib: int = 0,
        code: str = "",
    ) -> None:
        super().__init__(
            InfraValidatorSpec(
                model=model,
                examples=examples,
                timeout_seconds=float(timeout_seconds),
                memory_limit_mib=memory_limit_mib,
                code=code,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )


def _files_of_split(examples: types.Artifact) -> list[str]:
    splits = artifact_utils.decode_split_names(examples.split_names)
    files: list[str] = []
    if SPLIT in splits:
        (folder,) = artifact_utils.get_split_uris([examples], SPLIT)
        files = sorted(fileio.glob(io_utils.all_files_pattern(folder)))
    if not files:
        raise DataError(
            f"{examples.uri}: has no {SPLIT!r} split to ask the model with. Found {splits}. "
            "Expected ExampleGen's output; see data.split"
        )
    return files


def _write_blessing(blessing: types.Artifact, result: CheckResult) -> None:
    io_utils.write_string_file(os.path.join(blessing.uri, CHECK_FILE), result.to_json())
    io_utils.write_string_file(os.path.join(blessing.uri, BLESSED_FILE if result.passed else NOT_BLESSED_FILE), "")
    blessing.set_int_custom_property(BLESSED_PROPERTY, int(result.passed))
    blessing.set_string_custom_property("reason", result.reason)
