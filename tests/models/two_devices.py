"""Trains on one of two CPU devices, then on both: `python -m tests.models.two_devices RESULT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.distribution import make_strategy
from models.fitting import Surroundings, fit
from models.registry import parse_params
from settings.training import TrainingSettings
from tests.models.synthetic import pairs

MODELS: list[dict[str, Any]] = [
    # By inner product the softmax does not depend on the candidates' bias, which would follow rounding errors.
    {
        "name": "two_tower",
        "embedding_dim": 4,
        "similarity": "cosine",
        "dropout": 0.0,
        "user_id_dropout": 0.0,
        "item_id_dropout": 0.0,
    },
    {"name": "deepfm", "embedding_dim": 4, "hidden_units": (4,), "dropout": 0.0},
    {"name": "lightgcn", "embedding_dim": 4},
]


def main(path: str) -> None:
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    space, data = pairs()
    found = []
    for model in MODELS:
        found.append({"name": model["name"]})
        # The negatives of lightgcn are drawn by each device for itself: there is nothing to compare with.
        for devices in ("all",) if model["name"] == "lightgcn" else ("one", "all"):
            settings = TrainingSettings(
                epochs=3, batch_size=8, learning_rate=0.1, devices=devices, gradient_clip_norm=1e3
            )
            strategy = make_strategy(settings)
            trained, history = fit(parse_params(model), settings, space, data, Surroundings(strategy))
            found[-1][devices] = {
                "replicas": strategy.num_replicas_in_sync,
                "losses": [epoch["loss"] for epoch in history.epochs],
                "weights": [weight.tolist() for weight in trained.get_weights()],
            }
    Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
