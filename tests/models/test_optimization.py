from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from tensorflow.python.summary.summary_iterator import summary_iterator

from models.fitting import fit
from models.optimization import FusedAdam, make_optimizer
from models.training import train
from models.training_logs import TrainingLogs
from settings.training import TrainingSettings
from tests.models.test_conformance import params_of
from tests.models.test_training import Slope, Squares, settings
from tests.models.toy_data import loaded


def test_the_step_size_rises_and_falls() -> None:
    asked = settings(epochs=3, learning_rate=0.1, learning_rate_schedule="cosine", warmup_epochs=0.5)
    optimizer = make_optimizer(asked, steps_an_epoch=4)
    optimizer.build([keras.Variable(0.0)])
    sizes = []
    for _ in range(12):
        sizes.append(float(optimizer.learning_rate))
        optimizer.apply([tf.constant(0.0)])
    # Two steps up, then half a cosine over the ten that are left.
    expected = [0.05, 0.1] + [0.1 * (1 + math.cos(math.pi * n / 10)) / 2 for n in range(10)]
    np.testing.assert_allclose(sizes, expected, rtol=1e-5)


def test_adam_in_one_operation_is_the_adam_of_keras() -> None:
    start = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    gradients = [tf.constant(g) for g in np.random.default_rng(1).normal(size=(5, 3, 2)).astype(np.float32)]
    found = []
    for kind in (FusedAdam, keras.optimizers.Adam):
        weight, optimizer = keras.Variable(start), kind(learning_rate=0.1)
        optimizer.build([weight])
        for gradient in gradients:
            optimizer.apply([gradient])
        found.append([weight.numpy(), *(variable.numpy() for variable in optimizer.variables)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_no_longer_than_asked_for() -> None:
    """Slope 2 from 0: the first gradient of mean (s x - 2 x)^2 is -4 mean x^2, about -1.4, and is cut to -0.01."""
    model = Slope()
    train(
        model,
        Squares(eval_slope=2.0, eval_rows=0),
        settings(epochs=1, batch_size=32, learning_rate=1.0, gradient_clip_norm=0.01, early_stopping_patience=0),
    )
    assert float(model.slope) == pytest.approx(0.01, rel=1e-4)


def test_clipping_sees_the_rows_of_embedding_tables() -> None:
    toy = loaded()
    asked = {"epochs": 1, "batch_size": 240, "learning_rate": 1.0, "optimizer": "sgd", "early_stopping_patience": 0}
    start, _ = fit(params_of("deepfm"), TrainingSettings(**asked, gradient_clip_norm=1e-9), toy.space, toy.data)
    moved, _ = fit(params_of("deepfm"), TrainingSettings(**asked, gradient_clip_norm=0.05), toy.space, toy.data)
    pairs = zip(start.get_weights(), moved.get_weights(), strict=True)
    steps = [one - other for one, other in pairs if one.dtype.kind == "f"]
    assert sum(float((step**2).sum()) for step in steps) ** 0.5 == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("two_tower", "mixed_bfloat16"),
        ("two_tower", "mixed_float16"),
        ("sasrec", "mixed_bfloat16"),
        ("deepfm", "mixed_bfloat16"),
    ],
)
def test_mixed_precision_trains_alike_and_leaves_a_model_in_float32(name: str, precision: Any) -> None:
    toy = loaded()
    asked = {"epochs": 2, "batch_size": 64, "learning_rate": 0.02}
    _, expected = fit(params_of(name), TrainingSettings(**asked), toy.space, toy.data)
    model, history = fit(params_of(name), TrainingSettings(**asked, precision=precision), toy.space, toy.data)
    assert history.epochs[-1]["val_loss"] == pytest.approx(expected.epochs[-1]["val_loss"], abs=0.02)
    assert history.epochs[-1]["val_loss"] != expected.epochs[-1]["val_loss"]
    assert keras.config.dtype_policy().name == "float32"
    outputs = model({key: tf.constant(values[:4]) for key, values in toy.data.train.features.items()})
    assert outputs.dtype == tf.float32
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)


def test_a_compiled_step_trains_alike() -> None:
    histories = []
    for jit in (False, True):
        histories.append(train(Slope(), Squares(eval_slope=1.0), settings(epochs=4, jit=jit)))
    np.testing.assert_allclose(
        [epoch["val_loss"] for epoch in histories[1].epochs], [epoch["val_loss"] for epoch in histories[0].epochs], 1e-5
    )


def test_tensorboard_gets_the_curves(tmp_path: Path) -> None:
    logs = TrainingLogs(str(tmp_path))
    history = train(Slope(), Squares(eval_slope=2.0), settings(epochs=2, warmup_epochs=1), logs=logs)
    logs.close()
    found: dict[tuple[str, str], list[float]] = {}
    for split in ("train", "eval"):
        for file in (tmp_path / split).iterdir():
            for event in summary_iterator(str(file)):
                for value in event.summary.value:
                    found.setdefault((split, value.tag), []).append(float(tf.make_ndarray(value.tensor)))
    assert set(found) == {("train", "loss"), ("train", "seconds"), ("train", "learning_rate"), ("eval", "loss")}
    np.testing.assert_allclose(found["eval", "loss"], [epoch["val_loss"] for epoch in history.epochs], rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 2, "warmup_epochs": 2}, r"warmup_epochs should be less than training.epochs, 2.*Received: 2"),
        ({"jit": True, "devices": "all"}, r"jit compiles the step of one device.*devices: all and workers: 1"),
        ({"workers": 9, "batch_size": 8}, r"batch_size, 8, is shared by training.workers, 9"),
        ({"gradient_clip_norm": 0}, r"gradient_clip_norm\n.*greater than 0"),
        ({"learning_rate_schedule": "step"}, r"learning_rate_schedule"),
        ({"precision": "float64"}, r"precision"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingSettings(**values)
