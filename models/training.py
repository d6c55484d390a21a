"""The training loop: batches sliced from memory, one compiled step, early stopping on the eval loss."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.checkpoints import Checkpoints, Position, random_states
from models.distribution import shares
from models.objectives import Objective
from models.optimization import make_optimizer
from models.training_data import Arrays
from models.training_logs import TrainingLogs
from settings.training import TrainingSettings

PROGRESS = logging.getLogger("shortlist.progress")
_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_REPORTS = 0.25
_EVAL_BATCH = 2048
# Small steps are taken several a call, so that entering the graph does not cost as much as the step.
_SECONDS_A_CALL = 0.05
_MOST_STEPS_A_CALL = 16

# Row numbers in, summed loss and its divisor out; of training, those of several batches, `(num_steps, batch_size)`.
Step = Callable[[Any], tuple[Any, Any]]


@dataclass
class History:
    """What happened in training.

    Attributes:
      epochs: for each its number, `loss`, `val_loss` (where there are eval rows) and `seconds`; `learning_rate` where
        it changes.
      best_epoch: the epoch whose weights were kept; 0 where nothing was trained by epochs.
      examples_per_second: train rows a second, without evaluation.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    examples_per_second: float = 0.0


def train(
    model: keras.Model,
    objective: Objective,
    settings: TrainingSettings,
    strategy: tf.distribute.Strategy | None = None,
    checkpoints: Checkpoints | None = None,
    logs: TrainingLogs | None = None,
) -> History:
    """Train in place, and leave the weights of the epoch with the lowest eval loss.

    Without eval rows, all epochs are trained and the last weights stay. A loss that is no number ends training with a
    warning, so that the gate can refuse the model with its reason.

    Args:
      model: built, in the scope of the strategy.
      objective: rows and loss.
      settings: epochs, batch size, optimizer, patience, seed.
      strategy: the devices that share a batch; None: one device.
      checkpoints: where a training that was killed goes on from; it then ends with the same weights.
      logs: hear of every epoch.
    """
    strategy = strategy or tf.distribute.get_strategy()
    num_rows, num_eval_rows = _num_rows(objective.train), _num_rows(objective.eval)
    optimizer = make_optimizer(settings, math.ceil(num_rows / settings.batch_size), strategy.num_replicas_in_sync)
    optimizer.build(model.trainable_variables)
    step = _train_step(model, objective, optimizer, settings, strategy)
    evaluate = _eval_step(model, objective, strategy)

    variables = [*model.variables, *optimizer.variables, *random_states(objective)]
    restored = checkpoints.restore(variables) if checkpoints else None
    position, best_weights = restored or (Position(), None)
    if restored:
        _LOG.info("training goes on in epoch %d after step %d", position.epoch, position.step)

    def save_when_due() -> None:
        if checkpoints and checkpoints.is_due():
            checkpoints.save(position, variables, best_weights)

    shuffle = np.random.default_rng(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        order = shuffle.permutation(num_rows)
        if epoch < position.epoch:
            continue
        _finish_epoch(step, order, settings, strategy.num_replicas_in_sync, position, save_when_due)
        record = {"epoch": epoch, "loss": _mean([position.totals]), "seconds": round(position.seconds, 3)}
        if settings.learning_rate_schedule != "constant" or settings.warmup_epochs:
            record["learning_rate"] = float(optimizer.learning_rate)
        watched = record["loss"]
        if num_eval_rows:
            batches = _slices(np.arange(num_eval_rows), _EVAL_BATCH)
            watched = record["val_loss"] = _mean([evaluate(batch) for batch in batches])
        position.epochs.append(record)
        if logs:
            logs.epoch(record)
        _LOG.info("epoch %d: %s", epoch, record)
        if not math.isfinite(watched):
            _LOG.warning(
                "epoch %d: the loss is %s. Training stops; try a smaller training.learning_rate", epoch, watched
            )
            break
        if not num_eval_rows:
            position.best_epoch = epoch
        elif position.best is None or watched < position.best:
            position.best, best_weights, position.best_epoch = watched, model.get_weights(), epoch
        elif settings.early_stopping_patience and epoch - position.best_epoch >= settings.early_stopping_patience:
            break
        position.begin(epoch + 1)
        save_when_due()
    if best_weights is not None:
        model.set_weights(best_weights)
    seconds = sum(record["seconds"] for record in position.epochs)
    return History(position.epochs, position.best_epoch, num_rows * len(position.epochs) / max(seconds, 1e-9))


def _finish_epoch(
    step: Step,
    order: np.ndarray,
    settings: TrainingSettings,
    num_replicas: int,
    position: Position,
    save_when_due: Callable[[], None],
) -> None:
    """Train on the rows that the epoch has left, in the given order; keep `position` up to date."""
    steps = math.ceil(len(order) / settings.batch_size)
    reported, began = 0.0, time.perf_counter()
    totals: list[tuple[Any, Any]] = []

    def settle() -> float:
        """Enter what was done into the position; return its seconds. Waits for the device, so not after every call."""
        nonlocal began
        position.totals = _sums([position.totals, *totals])
        totals.clear()
        now = time.perf_counter()
        passed, began = now - began, now
        position.seconds += passed
        return passed

    wanted, settled = 1, position.step
    while position.step < steps:
        rest = order[position.step * settings.batch_size :]
        num_steps = min(wanted, max(len(rest) // settings.batch_size, 1))
        batches = rest[: num_steps * settings.batch_size].reshape(num_steps, -1)
        # Every replica needs a row: the last batch may be too small for all, so its rows are taken again.
        totals.append(step(batches if batches.size >= num_replicas else np.resize(batches, (1, num_replicas))))
        position.step += num_steps
        if position.step == steps or time.perf_counter() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.perf_counter()
            event = {"kind": "epoch", "epoch": position.epoch, "epochs": settings.epochs}
            event |= {"step": position.step, "steps": steps, "loss": _mean(totals[-1:])}
            PROGRESS.info("epoch %d step %d", position.epoch, position.step, extra={"progress": event})
            seconds_a_step = settle() / (position.step - settled)
            settled = position.step
            if num_replicas == 1:
                wanted = int(np.clip(_SECONDS_A_CALL / max(seconds_a_step, 1e-9), 1, _MOST_STEPS_A_CALL))
            save_when_due()
    settle()


def _train_step(
    model: keras.Model,
    objective: Objective,
    optimizer: keras.optimizers.Optimizer,
    settings: TrainingSettings,
    strategy: tf.distribute.Strategy,
) -> Step:
    """Return the compiled steps, which train on one batch after the other."""
    rows_at = _reader(objective.train)

    def train_on(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = rows_at(numbers)
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            total, weight = objective.loss(model, batch, training=True)
            # Divided by the weight of the whole batch: the replicas' gradients, summed, are then those of one device.
            weight = _summed(tf.stop_gradient(weight), strategy)
            loss = optimizer.scale_loss(total / tf.maximum(weight, 1.0))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        # Keras clips no tf.IndexedSlices, and its optimizers square each occurrence of a row, not the row's gradient.
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        optimizer.apply(gradients, variables)
        return _summed(total, strategy), weight

    step = _compiled(train_on, strategy, settings.jit)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64)])
    def in_turn(batches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if strategy.num_replicas_in_sync > 1:
            total, weight = step(batches[0])
            return total[tf.newaxis], weight[tf.newaxis]
        number = tf.TensorSpec([], tf.float32)
        return tf.map_fn(step, batches, parallel_iterations=1, fn_output_signature=(number, number))

    return in_turn


def _eval_step(model: keras.Model, objective: Objective, strategy: tf.distribute.Strategy) -> Step:
    """Return the compiled loss of eval rows."""
    rows_at = _reader(objective.eval)

    def evaluate(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        total, weight = objective.loss(model, rows_at(numbers), training=False)
        return _summed(total, strategy), _summed(weight, strategy)

    return _compiled(evaluate, strategy)


def _reader(rows: Arrays) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return what takes rows by their numbers; columns of one type with a value a row are taken together."""
    columns: dict[str, list[str]] = {}
    for name, values in rows.items():
        if values.ndim == 1:
            columns.setdefault(values.dtype.name, []).append(name)
    tables = [(names, tf.constant(np.stack([rows[name] for name in names], axis=1))) for names in columns.values()]
    others = {name: tf.constant(values) for name, values in rows.items() if values.ndim > 1}

    def rows_at(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {name: tf.gather(values, numbers) for name, values in others.items()}
        for names, table in tables:
            batch |= zip(names, tf.unstack(tf.gather(table, numbers), axis=1), strict=True)
        return batch

    return rows_at


def _compiled(function: Step, strategy: tf.distribute.Strategy, jit: bool = False) -> Step:
    """Return the function as a graph; several replicas share the rows, and all return the same."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], jit_compile=jit or None)
    def graph(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if strategy.num_replicas_in_sync == 1:
            return function(numbers)
        outputs = strategy.run(lambda: function(shares(numbers, strategy)))
        total, weight = (strategy.experimental_local_results(output)[0] for output in outputs)
        return total, weight

    return graph


def _summed(value: tf.Tensor, strategy: tf.distribute.Strategy) -> tf.Tensor:
    """Return the sum over all replicas."""
    if strategy.num_replicas_in_sync == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def _slices(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (order[start : start + size] for start in range(0, len(order), size))


def _sums(totals: Sequence[tuple[Any, Any]]) -> tuple[float, float]:
    """Return the sum of the losses and the sum of their divisors."""
    sums = [
        np.concatenate([np.atleast_1d(each).astype(float) for each in part]).sum() for part in zip(*totals, strict=True)
    ]
    return float(sums[0]), float(sums[1])


def _mean(totals: Sequence[tuple[Any, Any]]) -> float:
    """Return the sum of the losses over the sum of their divisors."""
    total, weight = _sums(totals)
    return total / max(weight, 1.0)


def _num_rows(rows: Arrays) -> int:
    return len(next(iter(rows.values())))
