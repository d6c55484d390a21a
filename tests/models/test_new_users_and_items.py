"""Users that train never saw are known by their history, and items by their metadata."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.archetypes.retrieval import RetrievalModel
from models.fitting import fit
from models.registry import parse_params
from models.training_data import Rows
from settings.training import TrainingSettings
from tests.models.synthetic import data_of, rows_of, space_of

NUM_ITEMS, LENGTH, NUM_ROWS = 20, 4, 400
HISTORY = {"name": "history", "kind": "sequence", "tower": "query", "vocabulary": "item_id", "max_length": LENGTH}
# Where the item's id is no feature, the history has a vocabulary of its own.
PAST = {key: value for key, value in HISTORY.items() if key != "vocabulary"}
USER = {"name": "user_id", "kind": "categorical", "tower": "query"}
ITEM = {"name": "item_id", "kind": "categorical", "tower": "candidate"}
GENRE = {"name": "genre", "kind": "categorical", "tower": "candidate"}
SIZES = {"user_id": NUM_ROWS + 2, "item_id": NUM_ITEMS + 2, "genre": 4, "history": NUM_ITEMS + 2}


def told_apart(like_even: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return histories of even items only, or of odd ones only."""
    drawn = 2 * generator.integers(0, NUM_ITEMS // 2, (len(like_even), LENGTH)) + ~like_even[:, None]
    return drawn + 2


def rated(generator: np.random.Generator) -> Rows:
    """Return rows in which who chose even items rates them 5 and the odd ones 1, and the other way round."""
    like_even, item = np.arange(NUM_ROWS) % 2 == 0, generator.integers(0, NUM_ITEMS, NUM_ROWS)
    columns = {"history": told_apart(like_even, generator), "item_id": item + 2, "genre": 2 + item % 2}
    rows = rows_of(columns, item)
    rows.rating[:] = np.where((item % 2 == 0) == like_even, 5.0, 1.0)
    return rows


@pytest.mark.parametrize(
    ("model", "features"),
    [
        ({"name": "mf_history", "embedding_dim": 8}, [HISTORY, ITEM]),
        ({"name": "mf_dnn", "embedding_dim": 8, "dropout": 0.0}, [HISTORY, ITEM, GENRE]),
        ({"name": "mf_dnn", "embedding_dim": 8, "dropout": 0.0}, [PAST, GENRE]),
    ],
)
def test_ratings_of_new_users_and_of_new_items(model: dict[str, object], features: list[dict[str, object]]) -> None:
    generator = np.random.default_rng(1)
    train, names = rated(generator), [str(feature["name"]) for feature in features]
    items = {"item_id": np.arange(NUM_ITEMS) + 2, "genre": 2 + np.arange(NUM_ITEMS) % 2}
    none = train.where(np.zeros(NUM_ROWS, bool))
    settings = TrainingSettings(epochs=15, batch_size=32, learning_rate=0.02, early_stopping_patience=0)
    space = space_of(features, SIZES, NUM_ITEMS)
    trained, _ = fit(parse_params(model), settings, space, data_of(train, none, items, NUM_ITEMS))
    asked = rated(generator)
    asked.features["history"][:] = told_apart(np.arange(NUM_ROWS) % 2 == 0, generator)
    if "genre" in names:
        asked.features["item_id"][:] = 1  # out of vocabulary: nothing but the genre says what it is
    found = trained({name: tf.constant(asked.features[name]) for name in names}).numpy()
    assert found[asked.rating == 5].min() > 3 > found[asked.rating == 1].max()


@pytest.mark.parametrize("name", ["sasrec", "gru4rec", "caser", "attrec"])
def test_next_items_of_new_users(name: str) -> None:
    generator = np.random.default_rng(2)
    like_even = np.arange(NUM_ROWS) % 2 == 0
    histories, item = told_apart(like_even, generator), told_apart(like_even, generator)[:, 0]
    columns = {"history": histories, "item_id": item, "user_id": np.arange(NUM_ROWS) + 2}
    train = rows_of(columns, item - 2)
    space = space_of([USER, HISTORY, ITEM], SIZES, NUM_ITEMS)
    data = data_of(train, train.where(np.zeros(NUM_ROWS, bool)), {"item_id": np.arange(NUM_ITEMS) + 2}, NUM_ITEMS)
    settings = TrainingSettings(epochs=10, batch_size=32, learning_rate=0.02, early_stopping_patience=0)
    model, _ = fit(parse_params({"name": name, "embedding_dim": 16}), settings, space, data)
    assert isinstance(model, RetrievalModel)
    new = {"history": told_apart(like_even[:50], generator), "user_id": np.ones(50, np.int64)}
    query = model.encode_query({key: tf.constant(values) for key, values in new.items()})
    scores = model.score(query, model.encode_candidate({k: tf.constant(v) for k, v in data.catalogue.features.items()}))
    best = np.asarray(scores).argmax(axis=1)
    assert ((best % 2 == 0) == like_even[:50]).mean() > 0.9
