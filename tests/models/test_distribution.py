"""Several devices train what one of them would have trained, and what is wrong with workers is said.

That two processes train as one is looked at in tests/kubeflow/test_job_workers.py, where they are two pods.
"""

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
        both = model["all"]
        assert both["replicas"] == 2
        assert both["losses"][-1] < both["losses"][0]
        if "one" not in model:
            continue
        one = model["one"]
        assert one["replicas"] == 1
        np.testing.assert_allclose(both["losses"], one["losses"], rtol=1e-4, atol=1e-6)
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
