"""TFX's entry to training: reads the splits, trains the configured model, exports the servable."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow_transform as tft

from models.checkpoints import Checkpoints
from models.distribution import is_chief, make_strategy
from models.example_parser import ExampleParser
from models.feature_space import FeatureSpace
from models.fitting import Surroundings, fit
from models.registry import ModelParams, parse_params
from models.search_space import with_values
from models.training_data import TrainingData, Users, read_catalogue, read_rows, read_users
from models.training_logs import TrainingLogs
from models.warm_start import CATALOGUE, Keys, TrainedWeights
from models.workers import run_workers
from serving.servable import Servable, save
from settings.errors import DataError
from settings.features import FeatureList
from settings.serving import ServingSettings
from settings.training import TrainingSettings
from transforms.collisions import collision_rates
from transforms.vocabulary import vocabulary_keys

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """What the files given to a Trainer or a Tuner hold.

    Attributes:
      data: train and eval rows and the catalogue.
      space: their fields.
      parser: of raw rows.
      users: the users' state.
      keys: what ids and catalogue positions stand for.
      collision_rates: by hashed feature, the share of train's tokens that share their id with another.
    """

    data: TrainingData
    space: FeatureSpace
    parser: ExampleParser
    users: Users
    keys: Mapping[str, Keys]
    collision_rates: Mapping[str, float]


def run_fn(fn_args: FnArgs) -> None:
    """Train and export.

    Reads `features`, `model`, `training` and, where it is there, `serving`, each JSON, from `custom_config`, the train
    and eval files, and beside the train files the splits `items` and `users`; what a Tuner found best, from
    `hyperparameters`; and the model to start from, `base_model`. Writes the SavedModel to `serving_model_dir`, beside
    it the weights that a later training may start from, and `history.json` and logs for TensorBoard to `model_run_dir`.

    Args:
      fn_args: from TFX's Trainer.

    Raises:
      ConfigError: the model or loss does not fit the features or the task.
      DataError: a split lacks what the model is trained on.
    """
    _, training = configured(fn_args.custom_config, getattr(fn_args, "hyperparameters", None))
    if training.workers > 1:
        run_workers(fn_args, training.workers)
    else:
        train_and_export(fn_args, make_strategy(training))


def train_and_export(fn_args: FnArgs, strategy: tf.distribute.Strategy) -> None:
    """Do in this process what `run_fn` is asked for; of several workers the first writes.

    Args:
      fn_args: as for `run_fn`.
      strategy: the devices that share a batch.
    """
    params, training = configured(fn_args.custom_config, getattr(fn_args, "hyperparameters", None))
    inputs = read_inputs(fn_args)
    data = inputs.data
    checkpoints = _checkpoints(fn_args, training, strategy)
    writes = is_chief(strategy)
    logs = TrainingLogs(f"{fn_args.model_run_dir}/tensorboard") if training.tensorboard and writes else None
    around = Surroundings(strategy, checkpoints, logs, inputs.keys, _base(fn_args))
    model, history = fit(params, training, inputs.space, data, around)
    if logs:
        logs.close()
    serving = ServingSettings.model_validate_json(fn_args.custom_config.get("serving", "{}"))
    retrieval = None
    if serving.retrieval_model is not None:
        _LOG.info("training the first stage, %s", serving.retrieval_model.name)
        first_stage = Surroundings(strategy)
        retrieval, _ = fit(serving.retrieval_model, serving.retrieval_training, inputs.space, data, first_stage)
    if not writes:
        return
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    with tf.io.gfile.GFile(f"{fn_args.model_run_dir}/history.json", "w") as file:
        file.write(json.dumps(asdict(history) | {"collision_rates": inputs.collision_rates}, indent=2))
    if history.epochs:
        TrainedWeights.of(params, model, inputs.keys).save(_weights_path(fn_args.serving_model_dir))
    servable = Servable(
        params.task, model, inputs.space, inputs.parser, data.catalogue, inputs.users, data.train, serving, retrieval
    )
    save(servable, fn_args.serving_model_dir)
    if checkpoints:
        checkpoints.clear()


def configured(
    custom_config: Mapping[str, str], hyperparameters: Mapping[str, Any] | None = None
) -> tuple[ModelParams, TrainingSettings]:
    """Return the model's hyperparameters and how to train it, a Tuner's best values in place of the configured ones.

    Args:
      custom_config: `model` and `training`, each JSON.
      hyperparameters: what the Tuner wrote; None: there was none.
    """
    model, training = json.loads(custom_config["model"]), json.loads(custom_config["training"])
    if hyperparameters:
        model, training = with_values(model, training, hyperparameters["values"])
    return parse_params(model), TrainingSettings.model_validate(training)


def read_inputs(fn_args: FnArgs) -> Inputs:
    """Read all files.

    Raises:
      DataError: a split lacks files or rows.
    """
    records = FeatureList.model_validate({"records": json.loads(fn_args.custom_config["features"])}).records
    tft_output = tft.TFTransformOutput(fn_args.transform_output)
    train_files = _files(fn_args.train_files)
    catalogue, parser = read_catalogue(_files(_siblings(fn_args.train_files, "items")), tft_output)
    users = read_users(_files(_siblings(fn_args.train_files, "users")), parser)
    data = TrainingData(read_rows(train_files, parser), read_rows(_files(fn_args.eval_files), parser), catalogue)
    space = FeatureSpace.from_transform(records, tft_output, num_items=len(catalogue))
    _LOG.info("%d train rows, %d eval rows, %d items", len(data.train), len(data.eval), len(catalogue))
    keys = {name: Keys(*tokens) for name, tokens in vocabulary_keys(records, tft_output).items()}
    keys |= {CATALOGUE: Keys(catalogue.item_ids.tolist())}
    return Inputs(data, space, parser, users, keys, collision_rates(records, tft_output))


def _checkpoints(fn_args: FnArgs, training: TrainingSettings, strategy: tf.distribute.Strategy) -> Checkpoints | None:
    """Return where this very training saves its state: a run that is started again has other output folders."""
    if training.checkpoint_minutes is None:
        return None
    names = ("custom_config", "train_files", "eval_files", "transform_output", "base_model", "hyperparameters")
    asked = {name: getattr(fn_args, name, None) for name in names}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    # TFX keeps the outputs of a node below one folder: <root>/Trainer/model_run/<execution>.
    node = os.path.dirname(os.path.dirname(fn_args.model_run_dir.rstrip("/")))
    return Checkpoints(f"{node}/checkpoints/{digest[:32]}", training.checkpoint_minutes, is_chief(strategy))


def _base(fn_args: FnArgs) -> TrainedWeights | None:
    """Return the weights of the model to start from, or None."""
    base_model = getattr(fn_args, "base_model", None)
    if base_model is None:
        return None
    path = _weights_path(base_model)
    if not tf.io.gfile.exists(path):
        _LOG.warning("warm start: %s was exported without weights to start from", base_model)
        return None
    return TrainedWeights.load(path)


def _weights_path(serving_model_dir: str) -> str:
    """Return the file of the weights: in the model's artifact, but outside of what is served."""
    return f"{os.path.dirname(serving_model_dir.rstrip('/'))}/warm_start/weights.npz"


def _files(patterns: list[str]) -> list[str]:
    """Return the files that the patterns name.

    Raises:
      DataError: there are none.
    """
    files = sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
    if not files:
        raise DataError(f"{', '.join(patterns)}: no file. Expected the records of one split; see ExampleGen's output")
    return files


def _siblings(patterns: list[str], split: str) -> list[str]:
    """Return the patterns of another split of the same artifact."""
    return [f"{pattern.rpartition('/Split-')[0]}/Split-{split}/*" for pattern in patterns]
