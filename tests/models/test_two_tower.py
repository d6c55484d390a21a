from __future__ import annotations

from functools import cache

import numpy as np
import tensorflow as tf

from models.archetypes.retrieval import RetrievalModel
from models.feature_space import CATALOGUE_INDEX
from models.fitting import build, fit
from models.registry import parse_params
from settings.training import TrainingSettings
from tests.models.toy_data import COLD_ITEM, HISTORY_LENGTH, NUM_ITEMS, loaded


@cache
def trained() -> RetrievalModel:
    toy = loaded()
    params = parse_params({"name": "two_tower", "embedding_dim": 16, "item_id_dropout": 0.3, "user_id_dropout": 0.5})
    settings = TrainingSettings(epochs=40, batch_size=64, learning_rate=0.02, early_stopping_patience=8)
    model = fit(params, settings, toy.space, toy.data)[0]
    assert isinstance(model, RetrievalModel)
    return model


def scores(features: dict[str, np.ndarray]) -> np.ndarray:
    catalogue = {name: tf.constant(values) for name, values in loaded().data.catalogue.features.items()}
    query = trained().encode_query({name: tf.constant(values) for name, values in features.items()})
    return trained().score(query, trained().encode_candidate(catalogue)).numpy()


def test_a_new_item_is_known_by_its_metadata() -> None:
    toy = loaded()
    assert 1 <= toy.data.catalogue.features["item_id"][COLD_ITEM] <= 2, "the cold item's id should be out of vocabulary"
    index = np.full(len(toy.users.user_ids), NUM_ITEMS + 1)
    found = scores(toy.users.features | {CATALOGUE_INDEX: index})[:, COLD_ITEM]
    even = np.array([int(user.decode()[1:]) % 2 == 0 for user in toy.users.user_ids])
    # Its genre is that of the even users' items.
    assert found[even].min() > found[~even].max()


def test_a_new_user_is_known_by_the_history() -> None:
    toy = loaded()
    features = toy.space.sample(2)
    features["user_id"] = np.array([1, 1])  # out of vocabulary
    tokens = toy.data.catalogue.features["item_id"]
    features["history"] = np.array([tokens[[0, 2, 4, 6]], tokens[[1, 3, 5, 7]]])
    features["history"] = np.pad(features["history"], [[0, 0], [HISTORY_LENGTH - 4, 0]])
    found = scores(features)
    assert found[0, 8:NUM_ITEMS:2].min() > found[0, 9:NUM_ITEMS:2].max()
    assert found[1, 9:NUM_ITEMS:2].min() > found[1, 8:NUM_ITEMS:2].max()


def test_a_cosine_is_divided_by_the_temperature() -> None:
    toy = loaded()
    params = parse_params({"name": "two_tower", "embedding_dim": 4, "similarity": "cosine", "temperature": 0.25})
    model = build(params, toy.space)
    features = {name: tf.constant(values[:6]) for name, values in toy.test.features.items()}
    query, candidate = model.query(features).numpy(), model.candidate(features).numpy()
    cosine = np.sum(query * candidate, axis=1) / np.linalg.norm(query, axis=1) / np.linalg.norm(candidate, axis=1)
    np.testing.assert_allclose(model(features), cosine / 0.25, rtol=1e-4)
