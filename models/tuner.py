"""TFX's entry to the search for hyperparameters: each trial is a training, compared by its lowest eval loss."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras_tuner
from keras_tuner.errors import FailedTrialError, FatalError

from models.fitting import fit
from models.search_space import search_space, with_values
from models.trainer import Inputs, configured, read_inputs
from models.training import PROGRESS
from settings.errors import ShortlistError
from settings.training import TrainingSettings
from settings.tuning import Choice, Range, TuningSettings

if TYPE_CHECKING:
    from keras_tuner.engine.hyperparameters import HyperParameters
    from tfx.components.trainer.fn_args_utils import FnArgs
    from tfx.components.tuner.component import TunerFnResult

    from models.registry import ModelParams

_LOG = logging.getLogger(__name__)
_OBJECTIVE = "val_loss"
_ORACLES = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
}


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Return the search.

    Reads what `models.trainer.run_fn` reads, and `tuning`, JSON, from `custom_config`.

    Args:
      fn_args: from TFX's Tuner.
    """
    from tfx.components.tuner.component import TunerFnResult

    fn_args.transform_output = fn_args.transform_output or fn_args.transform_graph_path
    params, training = configured(fn_args.custom_config)
    tuning = TuningSettings.model_validate_json(fn_args.custom_config["tuning"])
    search = Search(params, training, tuning, read_inputs(fn_args), fn_args.working_dir)
    return TunerFnResult(tuner=search, fit_kwargs={})


class Search(keras_tuner.engine.base_tuner.BaseTuner):
    """Trials of one model on one device each, one after the other.

    Args:
      params: of the model, with the values that are not searched.
      training: likewise.
      tuning: the search.
      inputs: train and eval rows; test rows are not among them.
      folder: for keras-tuner's own files.
    """

    def __init__(
        self, params: ModelParams, training: TrainingSettings, tuning: TuningSettings, inputs: Inputs, folder: str
    ) -> None:
        self._params = params
        self._training = training
        self._tuning = tuning
        self._inputs = inputs
        self._begun = 0
        space = keras_tuner.HyperParameters()
        for name, values in search_space(params, training, tuning).items():
            _enter(space, name, values)
        oracle = _ORACLES[tuning.algorithm](
            objective=keras_tuner.Objective(_OBJECTIVE, direction="min"),
            max_trials=tuning.trials,
            seed=tuning.seed,
            hyperparameters=space,
            allow_new_entries=False,
            max_consecutive_failed_trials=min(3, tuning.trials),
        )
        super().__init__(oracle, directory=folder, project_name="search", overwrite=True)

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Run all trials.

        Raises:
          ShortlistError: none of them came to a finite eval loss.
        """
        super().search(*args, **kwargs)
        if not self.oracle.get_best_trials(1):
            raise ShortlistError(
                f"tuning: none of {self._tuning.trials} trials came to a finite eval loss. Expected one at least; "
                "narrow the ranges in tuning.parameters"
            )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the lowest eval loss of a training with the trial's values."""
        self._begun += 1
        try:
            loss = self._lowest_eval_loss(trial.hyperparameters)
        except ShortlistError as error:
            raise FatalError(str(error)) from error
        _LOG.info("trial %d of %d: %s: %s", self._begun, self._tuning.trials, trial.hyperparameters.values, loss)
        if not math.isfinite(loss):
            raise FailedTrialError(f"the eval loss is {loss}")
        return {_OBJECTIVE: loss}

    def _lowest_eval_loss(self, values: HyperParameters) -> float:
        params, training = tried(self._params, self._training, self._tuning, values.values)
        with _trial_told(self._begun, self._tuning.trials):
            _, history = fit(params, training, self._inputs.space, self._inputs.data)
        return min((epoch.get(_OBJECTIVE, math.nan) for epoch in history.epochs), default=math.nan)


def tried(
    params: ModelParams, training: TrainingSettings, tuning: TuningSettings, values: Mapping[str, Any]
) -> tuple[ModelParams, TrainingSettings]:
    """Return what a trial trains with: the trial's values, its number of epochs, and one process and device."""
    model, settings = with_values(params.model_dump(mode="json"), training.model_dump(mode="json"), values)
    settings |= {"epochs": tuning.epochs or training.epochs, "devices": "one", "workers": 1}
    return type(params).model_validate(model), TrainingSettings.model_validate(settings)


def _enter(space: HyperParameters, name: str, values: Range) -> None:
    """Enter a range into keras-tuner's space."""
    if isinstance(values, Choice):
        space.Choice(name, list(values.values))
    elif isinstance(values.low, int) and isinstance(values.high, int):
        space.Int(name, values.low, values.high, sampling="log" if values.log else "linear")
    else:
        space.Float(name, values.low, values.high, sampling="log" if values.log else "linear")


@contextmanager
def _trial_told(number: int, count: int) -> Iterator[None]:
    """Let every report of progress inside the block say which trial it is of."""

    def tell(record: logging.LogRecord) -> bool:
        fields = getattr(record, "progress", None)
        if isinstance(fields, dict):
            fields |= {"trial": number, "trials": count}
        return True

    PROGRESS.addFilter(tell)
    try:
        yield
    finally:
        PROGRESS.removeFilter(tell)
