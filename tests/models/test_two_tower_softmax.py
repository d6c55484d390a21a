from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.archetypes.retrieval import RetrievalModel
from models.feature_space import CATALOGUE_INDEX, FeatureSpace, Field
from models.fitting import build, fit
from models.objectives import LABEL, MenuObjective
from models.registry import ModelParams, parse_params
from models.training_data import Catalogue, Rows, TrainingData
from settings.errors import ConfigError
from settings.training import TrainingSettings

NUM_ITEMS = 6


def space(num_watched: int = 20, num_items: int = NUM_ITEMS, with_menu: bool = True) -> FeatureSpace:
    """Programmes watched, a menu of three of the items, the item; ids of items are 2 to 7."""
    watched = Field("watched", "sequence", "query", "watched", num_watched, length=4, num_oov=1)
    menu = Field("menu", "multivalent", "query", "item_id", num_items + 2, length=3, num_oov=1, source="menu_item_ids")
    item = Field("item_id", "categorical", "candidate", "item_id", num_items + 2, num_oov=1)
    fields = (watched, menu, item) if with_menu else (watched, item)
    return FeatureSpace(fields, item_vocabulary="item_id", num_items=num_items)


def pages(num_rows: int, seed: int) -> Rows:
    """The first item of a shuffled menu that is at least as large as all others is chosen; histories say nothing."""
    random = np.random.default_rng(seed)
    menu = np.stack([random.permutation(NUM_ITEMS)[:3] for _ in range(num_rows)]).astype(np.int64)
    chosen = menu.max(axis=1)
    features = {
        "watched": random.integers(2, 20, (num_rows, 4)),
        "menu": menu + 2,
        "item_id": chosen + 2,
        CATALOGUE_INDEX: chosen,
    }
    ones = np.ones(num_rows, np.float32)
    return Rows(features, ones, ones, ones, np.ones(num_rows, bool), np.full(num_rows, b"u"), np.arange(num_rows))


def data() -> TrainingData:
    numbers = np.arange(NUM_ITEMS)
    catalogue = Catalogue(numbers.astype("S"), numbers.astype("S"), {"item_id": numbers + 2, CATALOGUE_INDEX: numbers})
    return TrainingData(pages(600, 1), pages(60, 2), catalogue)


def params(**changes: Any) -> ModelParams:
    small = {"embedding_dim": 8, "hidden_units": (32,), "dropout": 0.0, "menu_dropout": 0.0}
    return parse_params({"name": "two_tower_softmax"} | small | changes)


def test_it_has_the_parameters_of_the_model_that_it_is_named_after() -> None:
    """10,000 programmes and 506 rows of a page, 64 numbers each: 640,000 + 32,384 + 107,066 = 779,450."""
    model = build(parse_params({"name": "two_tower_softmax"}), space(num_watched=10_000, num_items=504))
    assert model.count_params() == 640_000 + 32_384 + 107_066
    alone = build(parse_params({"name": "two_tower_softmax"}), space(10_000, 504, with_menu=False))
    # The second tower adds its table, and 64 inputs to a first layer of 256.
    assert model.count_params() - alone.count_params() == 32_384 + 64 * 256


@pytest.mark.parametrize("loss", ["auto", "menu_softmax", "sampled_softmax"])
def test_it_learns_to_choose_from_the_menu(loss: str) -> None:
    settings = TrainingSettings.model_validate({"epochs": 30, "batch_size": 64, "learning_rate": 0.01, "loss": loss})
    model, history = fit(params(), settings, space(), data())
    assert isinstance(model, RetrievalModel)
    test = pages(200, 3)
    scores = model.score(model.encode_query(test.features), model.encode_candidate(data().catalogue.features))
    on_menu = np.take_along_axis(np.asarray(scores), test.features["menu"] - 2, axis=1)
    best = test.features["menu"][np.arange(200), on_menu.argmax(axis=1)]
    assert (best == test.features["item_id"]).mean() > 0.95
    assert history.epochs[-1]["val_loss"] < history.epochs[0]["val_loss"]


def test_the_menus_loss_is_the_softmax_over_the_items_on_the_page() -> None:
    rows = pages(2, 4)
    rows.features["menu"][:] = [[2, 5, 0], [1, 7, 3]]  # items 0, 3 and padding; OOV, items 5 and 1
    rows.features[CATALOGUE_INDEX][:] = [3, 1]
    whole = data()
    objective = MenuObjective(
        "menu", "item_id", 1, name="menu_softmax", settings=TrainingSettings(), train=rows, evaluation=rows,
        catalogue=whole.catalogue, item_counts=np.ones(NUM_ITEMS),
    )  # fmt: skip
    np.testing.assert_array_equal(objective.train[LABEL], [[0, 3, -1], [-1, 5, 1]])
    model = build(params(), space())
    batch = {name: tf.constant(values) for name, values in objective.train.items()}
    s = np.asarray(model.score(model.encode_query(batch), model.encode_candidate(whole.catalogue.features)))
    expected = np.log(np.exp(s[0, [0, 3]]).sum()) - s[0, 3] + np.log(np.exp(s[1, [5, 1]]).sum()) - s[1, 1]
    total, weight = objective.loss(model, batch, training=False)
    assert float(total) == pytest.approx(float(expected), rel=1e-5)
    assert float(weight) == 2


def test_a_menu_is_withheld_in_training_alone_and_as_often_as_asked() -> None:
    model = build(params(menu_dropout=0.3), space())
    assert isinstance(model, RetrievalModel)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=w.shape) if w.dtype.kind == "f" else w for w in model.get_weights()])
    one = {name: tf.constant(np.repeat(values[:1], 4000, axis=0)) for name, values in pages(1, 5).features.items()}
    without = model.encode_query({**one, "menu": tf.zeros_like(one["menu"])})
    keras.utils.set_random_seed(1)
    trained = model.encode_query(one, training=True)
    withheld = np.all(np.isclose(trained, without), axis=1)
    assert withheld.mean() == pytest.approx(0.3, abs=0.03)
    assert not np.isclose(model.encode_query(one), without).all(axis=1).any()


def test_the_loss_over_the_menu_asks_for_a_menu() -> None:
    settings = TrainingSettings(loss="menu_softmax")
    with pytest.raises(ConfigError, match=r"menu_softmax cannot train 'two_tower_softmax'.*menu_item_ids"):
        fit(params(), settings, space(with_menu=False), data())
