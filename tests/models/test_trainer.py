from __future__ import annotations

import dataclasses
import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.fitting import fit
from models.registry import parse_params
from models.trainer import run_fn
from settings.errors import ConfigError, DataError
from settings.training import TrainingSettings
from tests.models.test_conformance import params_of
from tests.models.toy_data import FEATURES, loaded, world


def fn_args(folder: Path, model: str, **training: Any) -> Any:
    return types.SimpleNamespace(
        custom_config={
            "features": json.dumps(FEATURES),
            "model": json.dumps({"name": model}),
            "training": json.dumps({"batch_size": 64, **training}),
        },
        transform_output=str(world().transform),
        train_files=[str(world().examples / "Split-train" / "*")],
        eval_files=[str(world().examples / "Split-eval" / "*")],
        serving_model_dir=str(folder / "serving"),
        model_run_dir=str(folder / "run"),
    )


def test_run_fn_writes_model_and_history(tmp_path: Path) -> None:
    run_fn(fn_args(tmp_path, "two_tower", epochs=2))
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2]
    assert {"loss", "val_loss", "seconds"} < set(history["epochs"][0])
    assert history["examples_per_second"] > 0
    signatures = tf.saved_model.load(str(tmp_path / "serving")).signatures
    assert {"serving_default", "evaluate", "recommend", "transform_features"} < set(signatures)
    found = signatures["evaluate"](examples=tf.constant(world().serialized("test")))
    assert all(len(values) == 30 for values in found.values())
    assert {found.pop("top_items").dtype} == {tf.string}
    assert {values.dtype for values in found.values()} == {tf.float32}


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    args = fn_args(tmp_path, "popularity")
    args.train_files = [str(tmp_path / "Split-train" / "*")]
    with pytest.raises(DataError, match=r"Split-train/\*: no file"):
        run_fn(args)


def data_with(**changes: Any) -> Any:
    return dataclasses.replace(loaded().data, **changes)


def test_nothing_relevant_to_train_on() -> None:
    train = dataclasses.replace(loaded().data.train, relevant=np.zeros(len(loaded().data.train), np.float32))
    with pytest.raises(DataError, match=r"train split: none of its 240 rows can train 'popularity'.*relevant > 0"):
        fit(parse_params({"name": "popularity"}), TrainingSettings(), loaded().space, data_with(train=train))


def test_no_rating_to_train_on() -> None:
    train = dataclasses.replace(loaded().data.train, rating=np.full(len(loaded().data.train), np.nan, np.float32))
    with pytest.raises(DataError, match=r"events with a rating"):
        fit(parse_params({"name": "matrix_factorization"}), TrainingSettings(), loaded().space, data_with(train=train))


def test_no_eval_row_to_stop_by() -> None:
    none = loaded().data.eval.where(np.zeros(len(loaded().data.eval), bool))
    with pytest.raises(DataError, match=r"eval split: none of its 0 rows.*early_stopping_patience=0"):
        fit(parse_params({"name": "two_tower"}), TrainingSettings(), loaded().space, data_with(eval=none))


def test_no_sequence_to_train_on() -> None:
    train = dataclasses.replace(loaded().data.train, sequence_end=np.zeros(len(loaded().data.train), bool))
    with pytest.raises(DataError, match=r"is_sequence_end = 1"):
        fit(parse_params({"name": "sasrec"}), TrainingSettings(), loaded().space, data_with(train=train))


def test_a_loss_of_another_task_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training.loss: 'mse' cannot train a retrieval model.*in_batch_softmax"):
        fit(parse_params({"name": "two_tower"}), TrainingSettings(loss="mse"), loaded().space, loaded().data)


@pytest.mark.parametrize("loss", ["in_batch_softmax", "sampled_softmax", "bce", "gbce", "bpr"])
def test_every_loss_trains_both_kinds_of_retrieval_model(loss: str) -> None:
    settings = TrainingSettings(epochs=6, batch_size=64, learning_rate=0.02, loss=loss, num_negatives=8)
    for name in ("two_tower", "sasrec"):
        _, history = fit(params_of(name), settings, loaded().space, loaded().data)
        assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


def test_the_bias_of_a_place_is_learnt_beside_the_model_and_left_out_when_serving() -> None:
    """Items are liked at random, and clicks are twice as likely to be missed at the second place."""
    data = loaded().data
    place = (np.arange(len(data.train)) % 2).astype(np.float32) * 2 - 1
    liked = np.where(place > 0, data.train.liked, 0.0).astype(np.float32)
    train = dataclasses.replace(data.train, features=data.train.features | {"age": place}, liked=liked)
    settings = TrainingSettings(epochs=30, batch_size=64, learning_rate=0.05, position="age", early_stopping_patience=0)
    none = data.eval.where(np.zeros(len(data.eval), bool))
    model, _ = fit(
        parse_params({"name": "fm", "embedding_dim": 4}), settings, loaded().space, data_with(train=train, eval=none)
    )
    assert float(model.position_bias.weights_of_fields.numeric["age"][0]) > 0.5
    rows = {name: tf.constant(values[:6]) for name, values in train.features.items()}
    elsewhere = rows | {"age": -rows["age"]}
    np.testing.assert_array_equal(model(rows), model(elsewhere))


def test_neumf_trains_its_parts_first() -> None:
    params = parse_params({"name": "ncf", "embedding_dim": 4, "hidden_units": [4], "pretrained": True})
    settings = TrainingSettings(epochs=3, batch_size=64, learning_rate=0.02)
    cold = fit(params.model_copy(update={"pretrained": False}), settings, loaded().space, loaded().data)[1]
    warm = fit(params, settings, loaded().space, loaded().data)[1]
    assert warm.epochs[0]["loss"] < cold.epochs[0]["loss"]
