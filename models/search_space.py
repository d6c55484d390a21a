"""The hyperparameters that a search may change, and the sections with their values in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from models.registry import ModelParams
from settings.training import TrainingSettings
from settings.tuning import Between, Range, TuningSettings

# Declared for every model; what a model declares itself is in its class, see `ModelParams.search`.
TRAINING: dict[str, Range] = {"learning_rate": Between(low=3e-4, high=3e-2, log=True)}


def search_space(params: ModelParams, training: TrainingSettings, tuning: TuningSettings) -> dict[str, Range]:
    """Return the ranges of the hyperparameters that are searched, by `model.<name>` or `training.<name>`.

    Raises:
      ValueError: the model is not trained by epochs; a key names nothing, or nothing with a range; a value is not
        possible.
    """
    if not params.trained:
        raise ValueError(
            f"tuning: model {params.name!r} is computed from the data at once and has no eval loss to compare. "
            "Expected a model that is trained; leave the section out"
        )
    declared = {f"model.{name}": values for name, values in params.declared_ranges().items()}
    declared |= {f"training.{name}": values for name, values in TRAINING.items()}
    asked = tuning.parameters or dict.fromkeys(declared)
    space = {}
    for key, given in asked.items():
        values = given or declared.get(key)
        if values is None:
            raise ValueError(
                f"tuning.parameters.{key}: has no declared range. Expected values, or low and high; or one of "
                f"{sorted(declared)}"
            )
        for probe in values.probes():
            _check(params, training, key, probe)
        space[key] = values
    return space


def with_values(
    model: dict[str, Any], training: dict[str, Any], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections `model` and `training` with some values changed.

    Example:
      >>> with_values({"name": "bpr"}, {"epochs": 3}, {"model.l2": 0.1, "training.epochs": 5})
      ({'name': 'bpr', 'l2': 0.1}, {'epochs': 5})
    """
    sections = {"model": dict(model), "training": dict(training)}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    return sections["model"], sections["training"]


def _check(params: ModelParams, training: TrainingSettings, key: str, value: Any) -> None:
    """Refuse a key that names nothing and a value that its section would refuse."""
    section, _, name = key.partition(".")
    sections: dict[str, ModelParams | TrainingSettings] = {"model": params, "training": training}
    if section not in sections or name not in type(sections[section]).model_fields or key == "model.name":
        raise ValueError(
            f"tuning.parameters.{key}: is no hyperparameter of model {params.name!r}. Expected "
            f"{[f'model.{n}' for n in type(params).model_fields if n != 'name']} or training.<key>"
        )
    changed = sections[section].model_dump(mode="json") | {name: value}
    try:
        type(sections[section]).model_validate(changed)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"tuning.parameters.{key}: {problem}. Received: {value!r}") from None
