from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np
import pytest

from models.training import train
from settings.training import TrainingSettings


class Slope(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.slope = self.add_weight((), "zeros", name="slope")

    def call(self, features: Any, training: bool = False) -> Any:
        return self.slope * features["x"]


class Squares:
    """(slope x - y)^2 with the slope 2 in train and another in eval."""

    def __init__(self, eval_slope: float, eval_rows: int = 8, train_slope: float = 2.0) -> None:
        x = np.linspace(-1, 1, 32).astype(np.float32)
        self.train = {"x": x, "y": train_slope * x}
        self.eval = {"x": x[:eval_rows], "y": eval_slope * x[:eval_rows]}

    def loss(self, model: keras.Model, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        squares = (model(batch) - batch["y"]) ** 2
        return keras.ops.sum(squares), keras.ops.cast(keras.ops.shape(squares)[0], "float32")


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"epochs": 30, "batch_size": 8, "learning_rate": 0.3, "optimizer": "sgd", **changes})


def test_the_weights_of_the_best_eval_epoch_are_kept() -> None:
    model = Slope()
    history = train(model, Squares(eval_slope=1.0), settings(early_stopping_patience=4))
    losses = [epoch["val_loss"] for epoch in history.epochs]
    assert history.best_epoch == 1 + int(np.argmin(losses))
    assert len(losses) == history.best_epoch + 4
    x = np.linspace(-1, 1, 32)[:8]
    assert np.mean((float(model.slope) * x - x) ** 2) == pytest.approx(min(losses), rel=1e-4)


def test_without_patience_all_epochs_are_trained() -> None:
    model = Slope()
    history = train(model, Squares(eval_slope=2.0, eval_rows=0), settings(early_stopping_patience=0))
    assert len(history.epochs) == 30
    assert "val_loss" not in history.epochs[-1]
    assert float(model.slope) == pytest.approx(2.0, abs=1e-3)
    assert history.examples_per_second > 0


def test_divergence_ends_training_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        history = train(Slope(), Squares(eval_slope=2.0, train_slope=1e30), settings(learning_rate=1e30))
    assert len(history.epochs) == 1
    assert "smaller training.learning_rate" in caplog.text


def test_progress_is_told_step_by_step(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="shortlist.progress"):
        train(Slope(), Squares(eval_slope=2.0), settings(epochs=2))
    events = [record.progress for record in caplog.records if hasattr(record, "progress")]
    last = events[-1]
    assert {key: last[key] for key in ("kind", "epoch", "epochs", "step", "steps")} == {
        "kind": "epoch",
        "epoch": 2,
        "epochs": 2,
        "step": 4,
        "steps": 4,
    }
    assert last["loss"] < events[0]["loss"]


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "sgd"])
def test_every_optimizer_lowers_the_loss(optimizer: str) -> None:
    history = train(Slope(), Squares(eval_slope=2.0), settings(optimizer=optimizer, epochs=5))
    assert history.epochs[-1]["val_loss"] < history.epochs[0]["val_loss"]
