"""A model's parameters and the data in; the trained model out."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from models.archetypes.closed_form import ClosedFormModel, Interactions
from models.archetypes.graph import GraphModel
from models.archetypes.rating import RatingModel
from models.archetypes.retrieval import SequenceModel
from models.feature_space import CATALOGUE_INDEX, FeatureSpace
from models.objectives import Objective, PositionObjective, RetrievalObjective, RowObjective
from models.registry import ModelParams
from models.training import History, train
from models.training_data import Rows, TrainingData
from settings.errors import DataError
from settings.training import Loss, TrainingSettings

# Up to this many items `loss: auto` is the softmax over all of them: its cost grows with the catalogue.
FULL_SOFTMAX_ITEMS = 20_000


def fit(
    params: ModelParams, settings: TrainingSettings, space: FeatureSpace, data: TrainingData
) -> tuple[keras.Model, History]:
    """Return the trained model and what happened in training; the same for the same arguments and seed.

    Args:
      params: which model.
      settings: how to train it.
      space: fields of the data.
      data: train and eval rows and the catalogue.

    Raises:
      ConfigError: the model does not fit the features, or the loss not the task.
      DataError: nothing to train on, or nothing to stop by.
    """
    keras.utils.set_random_seed(settings.seed)
    model = build(params, space)
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
    if isinstance(model, RatingModel):
        model.mean_rating.assign(float(train_rows.rating.mean()))
    objective = _objective(model, params, settings, space, data, train_rows, eval_rows)
    if not isinstance(model, GraphModel):
        return model, train(model, objective, settings)
    model.enter_graph(train_rows.features)
    history = train(model, objective, settings)
    model.leave_graph()
    return model, history


def build(params: ModelParams, space: FeatureSpace) -> keras.Model:
    """Return the untrained model with all its weights created."""
    model = params.build(space)
    model({name: tf.constant(values) for name, values in space.sample(2).items()})
    return model


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
        return RowObjective(name, train_rows, eval_rows, "rating" if params.task == "rating" else "liked")
    counts = np.bincount(train_rows.features[CATALOGUE_INDEX], minlength=len(data.catalogue))
    if not isinstance(model, SequenceModel):
        return RetrievalObjective(
            name, settings.num_negatives, train_rows, eval_rows, data.catalogue, counts, settings.seed
        )
    ends = train_rows.where(train_rows.sequence_end)
    if not len(ends):
        raise DataError(
            f"train split: none of its {len(train_rows)} usable rows ends a sequence (is_sequence_end = 1), so "
            f"{params.name!r} has nothing to train on"
        )
    history, item = space.history_and_item(params.name)
    return PositionObjective(
        history.name,
        item.name,
        item.num_oov,
        name=name,
        num_negatives=settings.num_negatives,
        train=ends,
        evaluation=eval_rows,
        catalogue=data.catalogue,
        item_counts=counts,
        seed=settings.seed,
    )


def _interactions(rows: Rows, space: FeatureSpace, data: TrainingData) -> Interactions:
    users, user = np.unique(rows.user_id, return_inverse=True)
    item = space.item()
    token = data.catalogue.features[item.name] if item else np.zeros(len(data.catalogue), np.int64)
    return Interactions(user, rows.features[CATALOGUE_INDEX], len(users), len(data.catalogue), token)
