"""The registry of recommenders: a model is one class that holds its hyperparameters and builds itself.

Nothing here or in a registered file imports Keras before `build` is called, so that the command line can list and
validate models in a fraction of a second.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from settings.features import FeatureRecord
from settings.section import Section
from settings.training import Loss
from settings.tuning import Between, Choice, Range, SearchSpace

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace

Task = Literal["retrieval", "ranking", "rating"]
# Folders of `models/` whose modules hold registered classes.
FAMILIES = ("baselines", "rating", "retrieval", "sequential", "ranking")

# Ranges of the hyperparameters that many models have.
COMMON_RANGES: dict[str, Range] = {
    "embedding_dim": Choice(values=(16, 32, 64, 128)),
    "dropout": Between(low=0.0, high=0.5),
}

_REGISTRY: dict[str, type[ModelParams]] = {}
Params = TypeVar("Params", bound="ModelParams")


class ModelParams(Section):
    """A recommender's hyperparameters and its builder; subclass, declare fields, register.

    Class attributes:
      task: what the model answers; decides signatures, default loss and metrics.
      paper: the reference, with a link.
      needs: kinds of features without which the model has nothing to work on, for example `("sequence",)`.
      ids: columns that have to be a categorical feature: `user_id`, of the query, or `item_id`, of the candidate.
      ties_history: whether a sequence of the query has to share the vocabulary of the candidate's item id.
      towers: those that need a feature, whichever: `query`, `candidate`.
      trained: whether gradients train it; False: it is computed from the data at once.
      search: ranges of its hyperparameters for a `tuning` section that names none, beside those of `COMMON_RANGES`.
    """

    name: str
    task: ClassVar[Task]
    paper: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    ids: ClassVar[tuple[str, ...]] = ()
    ties_history: ClassVar[bool] = False
    towers: ClassVar[tuple[str, ...]] = ()
    trained: ClassVar[bool] = True
    search: ClassVar[SearchSpace] = {}

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained Keras model over the fields of `space`."""
        raise NotImplementedError

    @classmethod
    def declared_ranges(cls) -> dict[str, Range]:
        """Return the ranges in which a search looks for better hyperparameters."""
        return {name: values for name, values in COMMON_RANGES.items() if name in cls.model_fields} | dict(cls.search)

    def auto_loss(self) -> Loss | None:
        """Return what `training.loss: auto` means for this model; None: what its task and catalogue suggest."""
        return None

    @classmethod
    def lacks(cls, features: Sequence[FeatureRecord]) -> str:
        """Return what the model needs and `features` does not hold, in words; empty where there is nothing."""
        kinds = {getattr(record, "kind", "") for record in features}
        for kind in cls.needs:
            if kind not in kinds:
                return f"a feature of kind {kind!r}"
        for column in cls.ids:
            wanted = ("query" if column == "user_id" else "candidate", column, "categorical")
            if not any((r.tower, r.source, getattr(r, "kind", "")) == wanted for r in features):
                return f"a categorical feature of column {column!r} with `tower: {wanted[0]}`"
        if cls.ties_history:
            of_items = {getattr(r, "vocabulary_name", "") for r in features if r.source == "item_id"}
            if not any(
                getattr(r, "kind", "") == "sequence" and r.tower == "query" and r.vocabulary_name in of_items  # type: ignore[attr-defined]
                for r in features
            ):
                return "a sequence with `tower: query` that shares the vocabulary of the feature of column 'item_id'"
        for tower in cls.towers:
            if not any(record.tower == tower for record in features):
                return f"a feature with `tower: {tower}`"
        return ""

    def check_features(self, features: Sequence[FeatureRecord]) -> None:
        """Refuse a configuration whose features lack what the model needs.

        Raises:
          ValueError: with what is missing and which registered models fit.
        """
        missing = self.lacks(features)
        if missing:
            fitting = [name for name, p in registry().items() if p.task == self.task and not p.lacks(features)]
            found = ", ".join(f"{r.name} ({getattr(r, 'kind', '')}, {r.tower})" for r in features)
            raise ValueError(
                f"model {self.name!r} needs {missing}, and `features` has none. Found: {found}. "
                f"{self.task.capitalize()} models that fit: {', '.join(fitting) or 'none'}"
            )

    def parts(self) -> tuple[ModelParams, ...]:
        """Return models that are trained first, for this one to start from; none but where a model says so."""
        return ()


def register(params: type[Params]) -> type[Params]:
    """Class decorator: enter a model under the default of its `name` field."""
    name = params.model_fields["name"].default
    if name in _REGISTRY:
        raise ValueError(f"model {name!r} is registered twice: {_REGISTRY[name]} and {params}")
    _REGISTRY[name] = params
    return params


@cache
def registry() -> dict[str, type[ModelParams]]:
    """Return all models by name, in order of name, after importing every module of the families."""
    for family in FAMILIES:
        package = importlib.import_module(f"models.{family}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"models.{family}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def parse_params(value: Any) -> ModelParams:
    """Return the params object of a `model:` section, `{"name": ..., hyperparameter: ...}`.

    Raises:
      ValueError: the name is missing or unknown, or a hyperparameter is wrong.
    """
    if isinstance(value, ModelParams):
        return value
    name = value.get("name") if isinstance(value, dict) else None
    if name not in registry():
        raise ValueError(f"name should be one of {list(registry())}. Received: {name!r}")
    return registry()[name].model_validate(value)
