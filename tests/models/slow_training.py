"""A small training with dropout that saves after every step: `python -m tests.models.slow_training FOLDER`."""

from __future__ import annotations

import sys
import time
from typing import Any

import keras
import numpy as np

from models.checkpoints import Checkpoints
from models.training import train
from settings.training import TrainingSettings


class Noisy(keras.Model):
    """Dropout tells whether random numbers go on where they were."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(8), keras.layers.Dense(1)])

    def call(self, batch: Any, training: bool = False) -> Any:
        return keras.ops.squeeze(self.inner(batch["x"], training=training), -1)


class Sums:
    """The sum of five numbers."""

    def __init__(self) -> None:
        x = np.random.default_rng(0).normal(size=(32, 5)).astype(np.float32)
        self.train = {"x": x, "y": x.sum(axis=1)}
        self.eval = {"x": x[:8], "y": x[:8].sum(axis=1)}

    def loss(self, model: keras.Model, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        squares = (model(batch, training=training) - batch["y"]) ** 2
        return keras.ops.sum(squares), keras.ops.cast(keras.ops.shape(squares)[0], "float32")


class AfterEveryStep(Checkpoints):
    """Takes its time over each step, as a training would that is worth a checkpoint."""

    pause = 0.0

    def is_due(self) -> bool:
        time.sleep(self.pause)
        return True


def trained(folder: str, pause: float = 0.0) -> list[np.ndarray]:
    """Return the losses of the epochs and the weights; wait for `pause` seconds after each step."""
    keras.utils.set_random_seed(1)
    model, objective, checkpoints = Noisy(), Sums(), AfterEveryStep(folder, 0.0)
    model({"x": objective.train["x"]})
    checkpoints.pause = pause
    settings = TrainingSettings(epochs=6, batch_size=4, learning_rate=0.01, seed=3)
    history = train(model, objective, settings, checkpoints=checkpoints)
    return [np.array([epoch["loss"] for epoch in history.epochs]), *model.get_weights()]


if __name__ == "__main__":
    import models.training

    models.training._SECONDS_BETWEEN_REPORTS = 0.0
    trained(sys.argv[1], pause=0.1)
