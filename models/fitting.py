"""A model's parameters and the data in; the trained model out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from models.archetypes.closed_form import ClosedFormModel, Interactions
from models.archetypes.rating import RatingModel
from models.archetypes.retrieval import RetrievalModel, SequenceModel
from models.building import build as build
from models.checkpoints import Checkpoints
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.objectives import (
    MenuObjective,
    Objective,
    PositionObjective,
    RetrievalObjective,
    RowObjective,
    WithEmbeddingPenalty,
)
from models.registry import ModelParams
from models.training import History, train
from models.training_data import Rows, TrainingData
from models.training_logs import TrainingLogs
from models.warm_start import Keys, TrainedWeights, start_from
from settings.errors import ConfigError, DataError
from settings.training import Loss, TrainingSettings

# Up to this many items `loss: auto` is the softmax over all of them: its cost grows with the catalogue.
FULL_SOFTMAX_ITEMS = 20_000


@dataclass(frozen=True)
class Surroundings:
    """What a training has around it, beside its data; by default one device and nothing on disk.

    Attributes:
      strategy: the devices that share a batch.
      checkpoints: where a training that was killed goes on from.
      logs: hear of every epoch.
      keys: what ids and catalogue positions stand for, where there is a base.
      base: weights to start from.
    """

    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)
    checkpoints: Checkpoints | None = None
    logs: TrainingLogs | None = None
    keys: Mapping[str, Keys] = field(default_factory=dict)
    base: TrainedWeights | None = None


def fit(
    params: ModelParams,
    settings: TrainingSettings,
    space: FeatureSpace,
    data: TrainingData,
    around: Surroundings | None = None,
) -> tuple[keras.Model, History]:
    """Return the trained model and what happened in training; the same for the same arguments and seed.

    Args:
      params: which model.
      settings: how to train it.
      space: fields of the data.
      data: train and eval rows and the catalogue.
      around: devices, files and the model to start from.

    Raises:
      ConfigError: the model does not fit the features, or the loss not the task.
      DataError: nothing to train on, or nothing to stop by.
    """
    around = around or Surroundings()
    first = Surroundings(around.strategy)
    parts = [fit(part, settings, space, data, first)[0] for part in params.parts()]
    keras.utils.set_random_seed(settings.seed)
    with computing_in(settings.precision), around.strategy.scope():
        model, history = _fitted(params, settings, space, data, around, parts)
    if settings.precision == "float32" and not settings.replicated:
        return model, history
    # What is exported is of one device, in float32.
    plain = build(params, space, settings.position)
    plain.set_weights(model.get_weights())
    return plain, history


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Build and call layers with another precision inside the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _fitted(
    params: ModelParams,
    settings: TrainingSettings,
    space: FeatureSpace,
    data: TrainingData,
    around: Surroundings,
    parts: Sequence[keras.Model],
) -> tuple[keras.Model, History]:
    """Return the trained model, in the precision and on the devices of training."""
    model = build(params, space, settings.position)
    if parts:
        model.start_from(*parts)
    train_rows = _usable(data.train, params, len(data.catalogue))
    if not len(train_rows):
        raise DataError(
            f"train split: none of its {len(data.train)} rows can train {params.name!r}: {_WANTED[params.task]}"
        )
    if isinstance(model, ClosedFormModel):
        model.fit_interactions(_interactions(train_rows, space, data), settings.seed)
        return model, History()
    eval_rows = _usable(data.eval, params, len(data.catalogue))
    if not len(eval_rows) and settings.early_stopping_patience:
        raise DataError(
            f"eval split: none of its {len(data.eval)} rows can stop the training of {params.name!r}: "
            f"{_WANTED[params.task]}. Give the eval split a larger share, or set training.early_stopping_patience=0"
        )
    if around.base is not None:
        start_from(around.base, model, params, space, around.keys, settings.position)
    if isinstance(model, RatingModel):
        model.mean_rating.assign(float(train_rows.rating.mean()))
    objective = _objective(model, params, settings, space, data, train_rows, eval_rows)
    if settings.embedding_l2:
        objective = WithEmbeddingPenalty(objective, settings.embedding_l2)
    if isinstance(model, RetrievalModel):
        model.begin(train_rows.features, data.catalogue.features)
    history = train(model, objective, settings, around.strategy, around.checkpoints, around.logs)
    if isinstance(model, RetrievalModel):
        model.finish()
    return model, history


_WANTED = {
    "retrieval": "expected events with relevant > 0 of items in the catalogue",
    "ranking": "expected events",
    "rating": "expected events with a rating",
}


def _usable(rows: Rows, params: ModelParams, num_items: int) -> Rows:
    """Return the rows that say something to a model of this task."""
    if params.task == "rating":
        return rows.where(np.isfinite(rows.rating))
    if params.task == "ranking":
        return rows
    return rows.where((rows.relevant > 0) & (rows.features[CATALOGUE_INDEX] < num_items))


def _objective(
    model: keras.Model,
    params: ModelParams,
    settings: TrainingSettings,
    space: FeatureSpace,
    data: TrainingData,
    train_rows: Rows,
    eval_rows: Rows,
) -> Objective:
    """Return what the model is trained by."""
    many: Loss = "sampled_softmax" if isinstance(model, SequenceModel) else "in_batch_softmax"
    suggested = many if len(data.catalogue) > FULL_SOFTMAX_ITEMS else None
    name = settings.loss_of(params.task, params.auto_loss() or suggested)
    if params.task != "retrieval":
        labels = "rating" if params.task == "rating" else "liked"
        of_items = [field.name for field in space.candidate()]
        bias = getattr(model, "position_bias", None)
        return RowObjective(settings, name, train_rows, eval_rows, labels, data.catalogue.features, of_items, bias)
    counts = np.bincount(train_rows.features[CATALOGUE_INDEX], minlength=len(data.catalogue))
    if name == "menu_softmax":
        return _menu_objective(model, params, settings, space, data, train_rows, eval_rows, counts)
    if not isinstance(model, SequenceModel):
        return RetrievalObjective(name, settings, train_rows, eval_rows, data.catalogue, counts)
    ends = train_rows.where(train_rows.sequence_end)
    if not len(ends):
        raise DataError(
            f"train split: none of its {len(train_rows)} usable rows ends a sequence (is_sequence_end = 1), so "
            f"{params.name!r} has nothing to train on"
        )
    if settings.newest_window_only:
        ends = ends.where(_newest_of_users(ends))
    history, item = space.history_and_item(params.name)
    return PositionObjective(
        history.name,
        item.name,
        item.num_oov,
        name=name,
        settings=settings,
        train=ends,
        evaluation=eval_rows,
        catalogue=data.catalogue,
        item_counts=counts,
    )


def _newest_of_users(rows: Rows) -> np.ndarray:
    """Return which row is the last of its user, bool `(num_rows,)`; of rows at one time it is the one further down."""
    order = np.lexsort((rows.timestamp, rows.user_id))
    user = rows.user_id[order]
    newest = np.zeros(len(rows), bool)
    newest[order[np.append(user[1:] != user[:-1], True)]] = True
    return newest


def _menu_objective(
    model: keras.Model,
    params: ModelParams,
    settings: TrainingSettings,
    space: FeatureSpace,
    data: TrainingData,
    train_rows: Rows,
    eval_rows: Rows,
    counts: np.ndarray,
) -> MenuObjective:
    menu, item = space.menu(), space.item()
    if menu is None or item is None or isinstance(model, SequenceModel):
        raise ConfigError(
            f"training.loss: menu_softmax cannot train {params.name!r} on these features. Expected a model that "
            "answers a page, and a multivalent feature with `tower: query`, such as column menu_item_ids, that shares "
            "the vocabulary of the candidate's item_id"
        )
    return MenuObjective(
        menu.name,
        item.name,
        item.num_oov,
        name="menu_softmax",
        settings=settings,
        train=train_rows,
        evaluation=eval_rows,
        catalogue=data.catalogue,
        item_counts=counts,
    )


def _interactions(rows: Rows, space: FeatureSpace, data: TrainingData) -> Interactions:
    users, user = np.unique(rows.user_id, return_inverse=True)
    item = space.item()
    token = data.catalogue.features[item.name] if item else np.zeros(len(data.catalogue), np.int64)
    return Interactions(user, rows.features[CATALOGUE_INDEX], len(users), len(data.catalogue), token)
