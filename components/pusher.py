"""The Pusher: a model that passed both checks becomes the newest version, whole or not at all."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from serving import version_store


class Executor(base_executor.BaseExecutor):
    """Pushes a blessed model; see `Pusher`."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Push, or say why not.

        Raises:
          ShortlistError: the model or the serving root cannot be used; the versions there stay.
        """
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        reason = _refusal(
            artifact_utils.get_single_instance(input_dict["model_blessing"]),
            artifact_utils.get_single_instance(input_dict["infra_blessing"]),
        )
        pushed_model.set_int_custom_property("pushed", int(not reason))
        if reason:
            pushed_model.set_string_custom_property("reason", reason)
            return
        model = artifact_utils.get_single_instance(input_dict["model"])
        version = version_store.push(
            path_utils.serving_model_path(model.uri),
            exec_properties["serving_root"],
            exec_properties["keep"],
            model_uri=model.uri,
            run_id=self._context.pipeline_run_id if self._context else None,
        )
        destination = str(version.path)
        pushed_model.set_string_custom_property("pushed_destination", destination)
        pushed_model.set_string_custom_property("pushed_path", destination)
        pushed_model.set_string_custom_property("pushed_version", str(version.number))
        pushed_model.set_string_custom_property(
            "reason", "" if version.created else f"version {version.number} already is this model"
        )


class PusherSpec(ComponentSpec):
    """Inputs, outputs and parameters of `Pusher`."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        "serving_root": ExecutionParameter(type=str),
        "keep": ExecutionParameter(type=int),
    }
    INPUTS = {  # noqa: RUF012
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}  # noqa: RUF012


class Pusher(base_component.BaseComponent):
    """Makes a model that both validators blessed the newest version of a serving root.

    A model that one of them did not bless is not pushed, and the node completes. Where the newest version already is
    this model, nothing is written. See `serving.version_store` for what a push promises.

    Outputs:
      pushed_model: custom properties `pushed` (1 or 0) and `reason` (why not, or why nothing had to be written). Where
        pushed also `pushed_destination` and `pushed_path`, both the version's folder, and `pushed_version`, as text as
        TFX's own Pusher writes it. The artifact's own folder stays empty.

    Args:
      model: exported under `Format-Serving`.
      model_blessing: the Evaluator's.
      infra_blessing: the InfraValidator's.
      serving_root: folder of the versions.
      keep: number of versions that stay.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        serving_root: str,
        keep: int = 5,
    ) -> None:
        super().__init__(
            PusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                serving_root=serving_root,
                keep=keep,
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            )
        )


def _refusal(model_blessing: types.Artifact, infra_blessing: types.Artifact) -> str:
    """Return why the model must not be pushed; empty where it may."""
    reasons = []
    if not model_utils.is_model_blessed(model_blessing):
        rows = _read(model_blessing, "gate.json") or ()
        failed = [f"{row['name']} ({row['slice']}): {row['reason']}" for row in rows if not row["passed"]]
        reasons.append("the gate did not bless the model" + (f": {'; '.join(failed)}" if failed else ""))
    if not model_utils.is_infra_validated(infra_blessing):
        told = infra_blessing.get_string_custom_property("reason")
        reasons.append("infra validation refused the model" + (f": {told}" if told else ""))
    return "; ".join(reasons)


def _read(artifact: types.Artifact, name: str) -> Any:
    """Return a JSON file of an artifact; None where there is no such file."""
    path = os.path.join(artifact.uri, name)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "r") as file:
        return json.loads(file.read())
