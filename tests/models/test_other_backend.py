"""Models are made of keras.ops and layers alone: two of them, forward and backward, on another Keras backend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The objective is plain NumPy here: losses and models see arrays of whichever backend Keras runs on.
_PROGRAM = """
import jax, keras, numpy as np
from keras import ops
from models import losses
from models.feature_space import CATALOGUE_INDEX, FeatureSpace, Field
from models.registry import parse_params

history = Field("history", "sequence", "query", "item_id", 9, length=4, num_oov=1)
user = Field("user_id", "categorical", "query", "user_id", 6, num_oov=1, source="user_id")
item = Field("item_id", "categorical", "candidate", "item_id", 9, num_oov=1, source="item_id")
year = Field("year", "numeric", "candidate")
space = FeatureSpace((user, history, item, year), "item_id", num_items=7)
generator = np.random.default_rng(0)
batch = {
    "user_id": generator.integers(2, 6, 16), "item_id": generator.integers(2, 9, 16),
    "history": generator.integers(0, 9, (16, 4)), "year": generator.normal(size=16).astype("float32"),
    CATALOGUE_INDEX: generator.integers(0, 7, 16),
}
catalogue = {"item_id": np.arange(2, 9), "year": np.zeros(7, "float32"), CATALOGUE_INDEX: np.arange(7)}
labels = generator.integers(0, 2, 16).astype("float32")

def click_loss(model):
    return ops.mean(losses.log_loss(model(batch, training=True), ops.convert_to_tensor(labels)))

def item_loss(model):
    scores = model.score(model.encode_query(batch, training=True), model.encode_candidate(catalogue, training=True))
    return ops.mean(losses.softmax(scores, ops.convert_to_tensor(batch[CATALOGUE_INDEX])))

for name, loss in (("xdeepfm", click_loss), ("sasrec", item_loss)):
    keras.utils.set_random_seed(1)
    small = {"embedding_dim": 8, "dropout": 0.0}
    model = parse_params({"name": name} | small).build(space)
    model({key: ops.convert_to_tensor(values) for key, values in batch.items()})
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    def pure(trainable, rest):
        mapping = [*zip(model.trainable_variables, trainable), *zip(model.non_trainable_variables, rest)]
        with keras.StatelessScope(mapping):
            return loss(model)

    value_and_gradients = jax.jit(jax.value_and_grad(pure))
    values = []
    for _ in range(20):
        rest = [v.value for v in model.non_trainable_variables]
        value, gradients = value_and_gradients([v.value for v in model.trainable_variables], rest)
        optimizer.apply(list(gradients), model.trainable_variables)
        values.append(float(value))
    assert np.isfinite(values).all(), values
    assert values[-1] < 0.8 * values[0], (name, values)
    print(name, keras.backend.backend(), values[0], values[-1])
"""


def test_two_models_learn_on_another_backend() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.count("jax") == 2
