"""A model of DeepCTR on the rows and under the settings that `benchmarks.quality.beside` left in a folder.

Run with the Python of an environment that holds deepctr, tensorflow and tf-keras and no Shortlist. DeepCTR is written
for Keras 2. What is not asked for is the library's default, L2 of vectors included.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import deepctr
import numpy as np
import tf_keras
from deepctr import models
from deepctr.feature_column import DenseFeat, SparseFeat


def probabilities(asked: dict[str, Any], rows: Any, seed: int) -> np.ndarray:
    """Return the probability of each test row after training on the train rows."""
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(seed)
    numbers = [DenseFeat(name, 1) for name in asked["numbers"]]
    tokens = [SparseFeat(name, size, embedding_dim=asked["dim"]) for name, size in asked["tokens"].items()]
    columns = [*numbers, *tokens]
    # Columns of the linear part and of the other one. PNN has no linear part; AFM has no pairs with numbers.
    parts = {"PNN": [columns], "AFM": [columns, tokens]}.get(asked["model"], [columns, columns])
    model = getattr(models, asked["model"])(*parts, seed=seed, **asked["options"])
    model.compile(tf_keras.optimizers.Adam(asked["learning_rate"]), "binary_crossentropy")
    train, test = ({column.name: rows[f"{part} {column.name}"] for column in columns} for part in ("train", "test"))
    model.fit(train, rows["train liked"], batch_size=asked["batch_size"], epochs=asked["epochs"], verbose=0)
    return np.asarray(model.predict(test, batch_size=8192, verbose=0)).ravel()


def main() -> None:
    """Leave the answers of every seed in the folder."""
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "asked.json").read_text())
    rows = np.load(folder / "rows.npz")
    np.save(folder / "probabilities.npy", [probabilities(asked, rows, seed) for seed in range(asked["seeds"])])
    (folder / "version.txt").write_text(deepctr.__version__)


if __name__ == "__main__":
    main()
