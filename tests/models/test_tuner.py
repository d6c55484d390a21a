"""The search for hyperparameters, on twelve users and six items."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from models.registry import parse_params, registry
from models.search_space import search_space
from models.trainer import Inputs, configured
from models.tuner import Search
from settings.errors import ConfigError, ShortlistError
from settings.training import TrainingSettings
from settings.tuning import Between, Choice, TuningSettings
from tests.models.synthetic import pairs

BPR = {"name": "bpr", "embedding_dim": 4}
TRAINING = TrainingSettings(epochs=3, batch_size=16, early_stopping_patience=0)


def search(
    folder: Path, training: TrainingSettings = TRAINING, model: dict[str, Any] | None = None, **tuning: Any
) -> Search:
    space, data = pairs()
    inputs = Inputs(data, space, parser=None, users=None, keys={}, collision_rates={})  # type: ignore[arg-type]
    return Search(parse_params(model or BPR), training, TuningSettings(trials=2, **tuning), inputs, str(folder))


def test_the_best_of_two_trials_trains_the_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parameters = {"training.learning_rate": {"values": [1e-9, 0.05]}, "model.embedding_dim": {"low": 2, "high": 3}}
    tuner = search(tmp_path, epochs=2, parameters=parameters)
    with caplog.at_level(logging.INFO, logger="shortlist.progress"):
        tuner.search()
    first, second = tuner.oracle.get_best_trials(2)
    assert first.score < second.score
    best = tuner.get_best_hyperparameters()[0].get_config()
    assert {type(value) for value in best["values"].values()} == {float, int}
    custom_config = {"model": json.dumps(BPR), "training": TRAINING.model_dump_json()}
    params, training = configured(custom_config, json.loads(json.dumps(best)))
    assert training.learning_rate == best["values"]["training.learning_rate"]
    assert params.embedding_dim == best["values"]["model.embedding_dim"]  # type: ignore[attr-defined]
    assert training.epochs == 3
    told = [record.progress for record in caplog.records if hasattr(record, "progress")]
    assert {(event["trial"], event["trials"], event["epochs"]) for event in told} == {(1, 2, 2), (2, 2, 2)}


def test_a_search_without_any_result_fails(tmp_path: Path) -> None:
    sgd = TRAINING.model_copy(update={"optimizer": "sgd"})
    ranges = {"training.learning_rate": {"values": [1e37, 1e38]}}
    with pytest.raises((ShortlistError, RuntimeError), match=r"tuning: none of 2 trials|consecutive failures"):
        search(tmp_path, sgd, {"name": "two_tower", "embedding_dim": 4}, parameters=ranges).search()


def test_an_error_of_the_configuration_ends_the_search(tmp_path: Path) -> None:
    tuner = search(tmp_path, TRAINING.model_copy(update={"loss": "mse"}), parameters={"model.l2": None})
    with pytest.raises(Exception, match="'mse' cannot train a retrieval model") as caught:
        tuner.search()
    assert isinstance(caught.value.__cause__, ConfigError)


def test_every_declared_range_is_possible() -> None:
    for name, params in registry().items():
        if params.trained:
            found = search_space(params(name=name), TRAINING, TuningSettings())
            assert "training.learning_rate" in found
            assert all(key.split(".")[1] in params.model_fields for key in found if key.startswith("model."))
    assert search_space(parse_params({"name": "lightgcn"}), TRAINING, TuningSettings())["model.num_layers"] == Choice(
        values=(1, 2, 3)
    )


@pytest.mark.parametrize(
    ("model", "parameters", "message"),
    [
        ("ease", {}, r"tuning: model 'ease' is computed from the data at once"),
        ("bpr", {"model.width": None}, r"model.width: has no declared range"),
        ("bpr", {"model.width": Choice(values=(1,))}, r"model.width: is no hyperparameter of model 'bpr'"),
        ("bpr", {"model.metric": None}, r"model.metric: has no declared range"),
        ("bpr", {"model.embedding_dim": Between(low=0, high=8)}, r"greater than or equal to 1. Received: 0"),
        (
            "bpr",
            {"training.learning_rate": Choice(values=(0.1, -1))},
            r"learning_rate: .* greater than 0. Received: -1",
        ),
    ],
)
def test_a_range_that_cannot_be_is_refused(model: str, parameters: Any, message: str) -> None:
    tuning = TuningSettings().model_copy(update={"parameters": parameters})
    with pytest.raises(ValueError, match=message):
        search_space(parse_params({"name": model}), TRAINING, tuning)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"low": 2, "high": 1}, "low should be less than high"), ({"low": 0, "high": 1, "log": True}, "above 0")],
)
def test_an_interval_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Between(**values)
