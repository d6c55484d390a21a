"""Each kind of input lifts a model on data in which it alone tells likes from dislikes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from models.building import build
from models.feature_space import CATALOGUE_INDEX
from models.fitting import fit
from models.layers.list_encoder import ListEncoder
from models.registry import parse_params
from settings.training import TrainingSettings
from tests.models.synthetic import data_of, rows_of, space_of

NUM_ROWS, NUM_TRAIN = 600, 450
NOISE = {"name": "noise", "kind": "categorical", "tower": "query"}
ITEM = {"name": "item_id", "kind": "categorical", "tower": "candidate"}
TOKENS = 20
# One feature a kind; each is made from the labels by the function of its name below.
FEATURES: dict[str, dict[str, Any]] = {
    "vector": {"kind": "vector", "tower": "candidate", "dimension": 4},
    "image": {"kind": "image", "tower": "candidate", "height": 12, "width": 12},
    "text": {"kind": "multivalent", "tower": "candidate", "max_length": 6, "encoding": "attention"},
    "order": {"kind": "sequence", "tower": "candidate", "max_length": 6, "encoding": "recurrent"},
    "neighbours": {"kind": "multivalent", "tower": "query", "max_length": 6},
    "behaviour": {"kind": "sequence", "tower": "query", "max_length": 6},
}


def vector(liked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The sum of the first two numbers is above 0 where the row is liked."""
    x = generator.normal(size=(len(liked), 4))
    x[:, 0] = np.where(liked, 1, -1) * np.abs(x[:, 0] + x[:, 1]) - x[:, 1]
    return x.astype(np.float32)


def image(liked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Stripes, upright or lying, which no pixel and no mean tells apart, wherever they begin."""
    stripes = (np.arange(12)[None, :] + generator.integers(0, 4, (len(liked), 1))) % 4 < 2
    upright = np.repeat(stripes[:, None, :], 12, axis=1)
    pixels = np.where(liked[:, None, None], upright, upright.transpose(0, 2, 1))
    return np.repeat(pixels[..., None], 3, axis=3).astype(np.float32)


def text(liked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One word among five others says it."""
    ids = generator.integers(5, TOKENS, (len(liked), 6))
    ids[np.arange(len(liked)), generator.integers(0, 6, len(liked))] = np.where(liked, 3, 4)
    return ids


def order(liked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Tokens 2 and 3 are always there, behind padding; which comes first says it."""
    ids = np.zeros((len(liked), 6), np.int64)
    ids[:, 2:] = generator.integers(4, TOKENS, (len(liked), 4))
    first, second = generator.integers(2, 4, len(liked)), generator.integers(4, 6, len(liked))
    ids[np.arange(len(liked)), first] = np.where(liked, 2, 3)
    ids[np.arange(len(liked)), second] = np.where(liked, 3, 2)
    return ids


def neighbours(liked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Those who like have neighbours of the one half of the network, four in six."""
    halves = np.where(generator.random((len(liked), 6)) < 0.8, liked[:, None], ~liked[:, None])
    return 2 + 2 * generator.integers(0, (TOKENS - 2) // 2, (len(liked), 6)) + halves


MADE = {
    "vector": vector,
    "image": image,
    "text": text,
    "order": order,
    "neighbours": neighbours,
    "behaviour": neighbours,
}


def auc(*features: dict[str, Any]) -> float:
    """Return the AUC of a DeepFM with these features, on rows that it was not trained on."""
    liked = np.arange(NUM_ROWS) % 2 == 1
    generator = np.random.default_rng(3)
    values = {"noise": generator.integers(2, 12, NUM_ROWS), "item_id": generator.integers(2, 12, NUM_ROWS)}
    values |= {f["name"]: MADE[f["name"]](liked, generator) for f in features}
    space = space_of([NOISE, ITEM, *features], {"noise": 12, "item_id": 12} | dict.fromkeys(FEATURES, TOKENS), 1)
    parts = (slice(0, NUM_TRAIN), slice(NUM_TRAIN, NUM_ROWS))
    train, held = (
        rows_of({k: v[part] for k, v in values.items()}, np.zeros(part.stop - part.start), liked[part])
        for part in parts
    )
    params = parse_params({"name": "deepfm", "embedding_dim": 8, "hidden_units": (16,), "dropout": 0.0})
    # No eval rows: they are kept for the measurement.
    none = held.where(np.zeros(len(held), bool))
    settings = TrainingSettings(epochs=20, batch_size=64, learning_rate=0.02, early_stopping_patience=0)
    model, _ = fit(params, settings, space, data_of(train, none, {"item_id": np.array([2])}, 1))
    logits = model({k: tf.constant(v) for k, v in held.features.items()}).numpy()
    return float(roc_auc_score(held.liked, logits))


def test_without_any_of_them_nothing_can_be_told() -> None:
    assert 0.4 < auc() < 0.6


@pytest.mark.parametrize("name", FEATURES)
def test_the_input_tells(name: str) -> None:
    assert auc({"name": name, **FEATURES[name]}) > 0.9


def test_pooling_cannot_read_an_order() -> None:
    assert auc({"name": "order", **FEATURES["order"], "encoding": "pooled"}) < 0.65


@pytest.mark.parametrize("encoding", ["recurrent", "attention"])
def test_padding_says_nothing(encoding: Any) -> None:
    keras.utils.set_random_seed(1)
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(2, 5, 3)).astype(np.float32)
    layer = ListEncoder(encoding)
    front = np.array([[False, False, True, True, True], [False] * 5])
    found = layer(vectors, front).numpy()
    vectors[0, :2] = 7.0
    np.testing.assert_allclose(layer(vectors, front).numpy(), found, rtol=1e-6)
    np.testing.assert_array_equal(found[1], 0.0)
    behind = np.concatenate([vectors[:, 2:], vectors[:, :2]], axis=1)
    np.testing.assert_allclose(layer(behind, np.roll(front, 3, axis=1)).numpy()[0], found[0], rtol=1e-5)


FIELD_MODELS = ("two_tower", "deepfm", "dcn", "xdeepfm", "ffm", "afm", "mf_dnn", "two_tower_rating")


@pytest.mark.parametrize("name", FIELD_MODELS)
def test_models_of_fields_take_vectors_and_images(name: str) -> None:
    features = [
        {"name": "user_id", "kind": "categorical", "tower": "query"},
        ITEM,
        {"name": "history", "kind": "sequence", "tower": "query", "vocabulary": "item_id", "max_length": 3},
        {"name": "age", "kind": "numeric", "tower": "query"},
        *({"name": kind, **FEATURES[kind]} for kind in ("vector", "image")),
        {"name": "taste", "kind": "vector", "tower": "query", "dimension": 2},
    ]
    space = space_of(features, {"user_id": 5, "item_id": 5}, 3)
    model = build(parse_params({"name": name}), space)
    generator = np.random.default_rng(0)
    batch = {n: generator.integers(0, 3, v.shape).astype(v.dtype) for n, v in space.sample(4).items()}
    scores = model(batch).numpy()
    assert scores.shape == (4,)
    for changed in ("vector", "image"):
        other = model(batch | {changed: batch[changed] + 1}).numpy()
        assert not np.allclose(other, scores, rtol=1e-6, atol=0), changed
    assert CATALOGUE_INDEX in batch
