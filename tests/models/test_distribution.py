"""Several devices and several processes train what one of them would have trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.distribution import TF_CONFIG, make_strategy
from models.trainer import run_fn
from settings.errors import ConfigError, DataError
from settings.training import TrainingSettings
from tests.models.toy_data import FEATURES, world

REPOSITORY = Path(__file__).resolve().parents[2]


def test_two_devices_train_as_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.models.two_devices", str(tmp_path / "found.json")]
    subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}, check=True)
    for model in json.loads((tmp_path / "found.json").read_text()):
        one, both = model["one"], model["all"]
        assert (one["replicas"], both["replicas"]) == (1, 2)
        if model["name"] == "lightgcn":
            # Its negatives are drawn by each device for itself.
            assert both["losses"][-1] < both["losses"][0]
            continue
        np.testing.assert_allclose(both["losses"], one["losses"], rtol=1e-4, atol=1e-6)
        assert one["losses"][-1] < one["losses"][0]
        for alone, together in zip(one["weights"], both["weights"], strict=True):
            np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def fn_args(folder: Path, **training: Any) -> Any:
    model = {"name": "two_tower", "embedding_dim": 8, "dropout": 0, "user_id_dropout": 0, "item_id_dropout": 0}
    settings = {"batch_size": 64, "epochs": 2, "learning_rate": 0.02, **training}
    return types.SimpleNamespace(
        custom_config={
            "features": json.dumps(FEATURES),
            "model": json.dumps(model),
            "training": json.dumps(settings),
        },
        transform_output=str(world().transform),
        train_files=[str(world().examples / "Split-train" / "*")],
        eval_files=[str(world().examples / "Split-eval" / "*")],
        serving_model_dir=str(folder / "model" / "serving"),
        model_run_dir=str(folder / "model_run" / "1"),
    )


def losses(folder: Path) -> list[float]:
    history = json.loads((folder / "model_run" / "1" / "history.json").read_text())
    return [epoch["val_loss"] for epoch in history["epochs"]]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    run_fn(fn_args(tmp_path / "one"))
    run_fn(fn_args(tmp_path / "two", workers=2))
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4)
    examples = tf.constant(world().serialized("test"))
    one, two = (
        tf.saved_model.load(str(tmp_path / name / "model" / "serving")).signatures["serving_default"](examples=examples)
        for name in ("one", "two")
    )
    np.testing.assert_allclose(two["scores"], one["scores"], rtol=1e-3, atol=1e-4)


def test_a_worker_says_what_is_wrong(tmp_path: Path) -> None:
    args = fn_args(tmp_path, workers=2)
    args.train_files = [str(tmp_path / "Split-train" / "*")]
    with pytest.raises(DataError, match=r"Split-train/\*: no file"):
        run_fn(args)


def test_a_cluster_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv(TF_CONFIG, json.dumps(cluster))
    with pytest.raises(ConfigError, match=r"training.workers: 2 expects .* as many workers. Received: 3"):
        make_strategy(TrainingSettings(workers=2))
