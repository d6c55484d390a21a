"""The root of the configuration, and how it is read from YAML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from evaluation.metric_table import check_gate
from models.registry import ModelParams, parse_params
from models.search_space import search_space
from settings.data import DataSettings
from settings.errors import ConfigError
from settings.evaluation import EvaluationSettings, GateSettings
from settings.features import Feature, FeatureList
from settings.kubernetes import KubernetesSettings
from settings.runtime import BeamSettings, PushSettings
from settings.section import Section
from settings.serving import ServingSettings
from settings.training import TrainingSettings
from settings.tuning import TuningSettings
from settings.validation import ValidationSettings

# Kind and tower of a feature that popularity may be counted by.
_SEGMENT = ("categorical", "query")


class Config(Section):
    """One experiment: everything that decides what a run does."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of the pipeline and of its served model.")
    data: DataSettings
    validation: ValidationSettings = ValidationSettings()
    features: tuple[Feature, ...] = Field(min_length=1)
    model: Annotated[SerializeAsAny[ModelParams], BeforeValidator(parse_params)]
    training: TrainingSettings = TrainingSettings()
    tuning: TuningSettings | None = Field(None, description="Search for hyperparameters before training; empty: none.")
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    serving: ServingSettings = ServingSettings()
    push: PushSettings = PushSettings()
    beam: BeamSettings = BeamSettings()
    kubernetes: KubernetesSettings | None = Field(None, description="Where the nodes run on a cluster.")

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        FeatureList(records=self.features)
        self.model.check_features(self.features)
        try:
            self.training.check(self.model.task, self.model.auto_loss(), self.features)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if not (self.gate.floors or self.gate.popularity_metric):
            raise ValueError(
                "gate: has no threshold, so nothing could ever be refused. Expected at least one entry in "
                "gate.floors or a gate.popularity_metric, for example popularity_metric: ndcg@10"
            )
        if self.training.warm_start and not self.model.trained:
            raise ValueError(
                f"training.warm_start: model {self.model.name!r} is computed from the data at once and starts from "
                "nothing. Expected a model that is trained; leave warm_start out"
            )
        self._check_serving()
        if self.tuning is not None:
            search_space(self.model, self.training, self.tuning)
        check_gate(self.gate, self.model.task, self.evaluation)
        return self

    def _check_serving(self) -> None:
        """Refuse what the features or the model leave no use for."""
        segment, retrieval = self.serving.popularity_segment, self.serving.retrieval_model
        by_name = {record.name: record for record in self.features}
        if segment and not (segment in by_name and (by_name[segment].kind, by_name[segment].tower) == _SEGMENT):
            found = sorted(name for name, record in by_name.items() if (record.kind, record.tower) == _SEGMENT)
            raise ValueError(
                f"serving.popularity_segment: {segment!r} is no categorical feature of the query. "
                f"Expected one of {found}"
            )
        if retrieval is None:
            return
        if self.model.task == "retrieval":
            raise ValueError(
                f"serving.retrieval_model: {self.model.name!r} retrieves itself. Expected a ranking or rating model "
                "under `model`, which ranks what the retrieval model finds; or leave serving.retrieval_model out"
            )
        retrieval.check_features(self.features)
        try:
            self.serving.retrieval_training.check(retrieval.task, retrieval.auto_loss(), self.features)
        except ConfigError as error:
            raise ValueError(f"serving.retrieval_training: {error}") from None

    def to_json(self) -> str:
        """Return the configuration as the one blob that travels to the components.

        `Config.model_validate_json(config.to_json()) == config`.
        """
        return self.model_dump_json()


def load(path: str | Path, overrides: Sequence[str] = (), data_path: str | None = None) -> Config:
    """Read and validate a configuration.

    Args:
      path: a YAML file.
      overrides: `key=value` strings, the key dotted (`training.epochs=3`), the value YAML. A new `model.name` drops
        the file's hyperparameters, which belong to the old model.
      data_path: replaces `data.source.path`.

    Raises:
      ConfigError: with the key's path, what was expected and what was received.
    """
    tree = _read(Path(path))
    if data_path is not None:
        overrides = [*overrides, f"data.source.path={data_path}"]
    _apply(tree, overrides)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Expected a YAML file; see configs/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: should hold a mapping of sections. Received: {type(tree).__name__}")
    return tree


def _apply(tree: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set dotted keys in place; a new model name first, so that its own hyperparameters survive."""
    for text in sorted(overrides, key=lambda text: not text.startswith("model.name=")):
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise ConfigError(f"--set {text}: should read key=value, for example training.epochs=3")
        *parents, leaf = key.split(".")
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {text}: {name!r} holds a value, not a section")
        parsed = yaml.safe_load(value)
        if key == "model.name" and node.get("name") != parsed:
            node.clear()
        node[leaf] = parsed


def _explain(error: ValidationError) -> str:
    """Return one line a mistake: path, problem, what was received."""
    lines = []
    for mistake in error.errors(include_url=False):
        place = ".".join(str(part) for part in mistake["loc"])
        message = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            message = "is not a known key"
        received = "" if mistake["type"] in {"value_error", "missing"} else f". Received: {mistake['input']!r}"
        lines.append(f"{place}: {message}{received}" if place else f"{message}{received}")
    return "\n  ".join(lines) if len(lines) == 1 else "\n  " + "\n  ".join(lines)
