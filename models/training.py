"""The training loop: batches sliced from memory, one compiled step, early stopping on the eval loss."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.objectives import Objective
from models.training_data import Arrays
from settings.training import TrainingSettings

PROGRESS = logging.getLogger("shortlist.progress")
_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_REPORTS = 0.25
_EVAL_BATCH = 2048


@dataclass
class History:
    """What happened in training.

    Attributes:
      epochs: for each its number, `loss`, `val_loss` (where there are eval rows) and `seconds`.
      best_epoch: the epoch whose weights were kept; 0 where nothing was trained by epochs.
      examples_per_second: train rows a second, without evaluation.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    examples_per_second: float = 0.0


def train(model: keras.Model, objective: Objective, settings: TrainingSettings) -> History:
    """Train in place, and leave the weights of the epoch with the lowest eval loss.

    Without eval rows, all epochs are trained and the last weights stay. A loss that is no number ends training with a
    warning, so that the gate can refuse the model with its reason.

    Args:
      model: built.
      objective: rows and loss.
      settings: epochs, batch size, optimizer, patience, seed.
    """
    history = History()
    optimizer = _optimizer(settings)
    optimizer.build(model.trainable_variables)
    step = _train_step(model, objective, optimizer)
    evaluate = _eval_step(model, objective)
    num_rows, num_eval_rows = _num_rows(objective.train), _num_rows(objective.eval)
    shuffle = np.random.default_rng(settings.seed)
    best, best_weights, train_seconds = math.inf, None, 0.0
    for epoch in range(1, settings.epochs + 1):
        start = time.perf_counter()
        order = shuffle.permutation(num_rows)
        loss = _epoch(step, order, settings, epoch)
        seconds = time.perf_counter() - start
        train_seconds += seconds
        record = {"epoch": epoch, "loss": loss, "seconds": round(seconds, 3)}
        history.epochs.append(record)
        watched = loss
        if num_eval_rows:
            watched = record["val_loss"] = _mean(
                evaluate(batch) for batch in _slices(np.arange(num_eval_rows), _EVAL_BATCH)
            )
        _LOG.info("epoch %d: %s", epoch, record)
        if not math.isfinite(watched):
            _LOG.warning(
                "epoch %d: the loss is %s. Training stops; try a smaller training.learning_rate", epoch, watched
            )
            break
        if not num_eval_rows:
            history.best_epoch = epoch
        elif watched < best:
            best, best_weights, history.best_epoch = watched, model.get_weights(), epoch
        elif settings.early_stopping_patience and epoch - history.best_epoch >= settings.early_stopping_patience:
            break
    if best_weights is not None:
        model.set_weights(best_weights)
    history.examples_per_second = num_rows * len(history.epochs) / max(train_seconds, 1e-9)
    return history


def _epoch(step: Callable[[Any], Any], order: np.ndarray, settings: TrainingSettings, epoch: int) -> float:
    """Train one pass over the rows in the given order; return the mean loss."""
    steps = math.ceil(len(order) / settings.batch_size)
    reported = 0.0
    totals: list[tuple[Any, Any]] = []
    for number, batch in enumerate(_slices(order, settings.batch_size), start=1):
        totals.append(step(batch))
        if number == steps or time.perf_counter() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.perf_counter()
            total, weight = totals[-1]
            event = {"kind": "epoch", "epoch": epoch, "epochs": settings.epochs, "step": number, "steps": steps}
            event["loss"] = float(total) / max(float(weight), 1.0)
            PROGRESS.info("epoch %d step %d", epoch, number, extra={"progress": event})
    return _mean(iter(totals))


def _train_step(
    model: keras.Model, objective: Objective, optimizer: keras.optimizers.Optimizer
) -> Callable[[Any], Any]:
    """Return the compiled step: row numbers in, summed loss and its divisor out."""
    rows = {name: tf.constant(values) for name, values in objective.train.items()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def step(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = {name: tf.gather(values, numbers) for name, values in rows.items()}
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            total, weight = objective.loss(model, batch, training=True)
            loss = total / tf.maximum(weight, 1.0)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return total, weight

    return step


def _eval_step(model: keras.Model, objective: Objective) -> Callable[[Any], Any]:
    """Return the compiled loss of eval rows: row numbers in, summed loss and its divisor out."""
    rows = {name: tf.constant(values) for name, values in objective.eval.items()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def evaluate(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = {name: tf.gather(values, numbers) for name, values in rows.items()}
        total, weight = objective.loss(model, batch, training=False)
        return total, weight

    return evaluate


def _optimizer(settings: TrainingSettings) -> keras.optimizers.Optimizer:
    kinds = {"adam": keras.optimizers.Adam, "adagrad": keras.optimizers.Adagrad, "sgd": keras.optimizers.SGD}
    return kinds[settings.optimizer](learning_rate=settings.learning_rate)


def _slices(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (order[start : start + size] for start in range(0, len(order), size))


def _mean(totals: Iterator[tuple[Any, Any]]) -> float:
    """Return the sum of the losses over the sum of their divisors."""
    sums = np.sum([(float(total), float(weight)) for total, weight in totals], axis=0)
    return float(sums[0] / max(sums[1], 1.0))


def _num_rows(rows: Arrays) -> int:
    return len(next(iter(rows.values())))
