"""TFX's entry to training: reads the splits, trains the configured model, exports the servable."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft

from models.feature_space import FeatureSpace
from models.fitting import fit
from models.registry import parse_params
from models.training_data import TrainingData, read_catalogue, read_rows, read_users
from serving.servable import Servable, save
from settings.errors import DataError
from settings.features import FeatureList
from settings.serving import ServingSettings
from settings.training import TrainingSettings

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_LOG = logging.getLogger(__name__)


def run_fn(fn_args: FnArgs) -> None:
    """Train and export.

    Reads `features`, `model`, `training` and, where it is there, `serving`, each JSON, from `custom_config`, the train
    and eval files, and beside the train files the splits `items` and `users`. Writes the SavedModel to
    `serving_model_dir` and `history.json` to `model_run_dir`.

    Args:
      fn_args: from TFX's Trainer.

    Raises:
      ConfigError: the model or loss does not fit the features or the task.
      DataError: a split lacks what the model is trained on.
    """
    settings = {key: json.loads(fn_args.custom_config[key]) for key in ("features", "model", "training")}
    records = FeatureList.model_validate({"records": settings["features"]}).records
    params, training = parse_params(settings["model"]), TrainingSettings.model_validate(settings["training"])
    serving = ServingSettings.model_validate_json(fn_args.custom_config.get("serving", "{}"))
    tft_output = tft.TFTransformOutput(fn_args.transform_output)
    train_files = _files(fn_args.train_files)
    catalogue, parser = read_catalogue(_files(_siblings(fn_args.train_files, "items")), tft_output)
    users = read_users(_files(_siblings(fn_args.train_files, "users")), parser)
    data = TrainingData(read_rows(train_files, parser), read_rows(_files(fn_args.eval_files), parser), catalogue)
    space = FeatureSpace.from_transform(records, tft_output, num_items=len(catalogue))
    _LOG.info("%d train rows, %d eval rows, %d items", len(data.train), len(data.eval), len(catalogue))

    model, history = fit(params, training, space, data)
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    with tf.io.gfile.GFile(f"{fn_args.model_run_dir}/history.json", "w") as file:
        file.write(json.dumps(asdict(history), indent=2))
    servable = Servable(params.task, model, space, parser, catalogue, users, data.train, serving)
    save(servable, fn_args.serving_model_dir)


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
