"""A new model that starts from an earlier one, whose vocabularies and catalogue were others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.building import build
from models.feature_space import FeatureSpace
from models.fitting import Surroundings, fit
from models.registry import parse_params
from models.warm_start import CATALOGUE, Keys, TrainedWeights, counting_axes, named_weights, start_from
from settings.features import FeatureList
from settings.training import TrainingSettings
from tests.models.test_conformance import CLOSED_FORM, MODELS, params_of
from tests.models.toy_data import FEATURES, loaded

RECORDS = FeatureList.model_validate({"records": FEATURES}).records
OLD = {"user_id": [b"u1", b"u2"], "item_id": [b"a", b"b", b"c"], "genres": [b"x", b"y"]}
OLD_CATALOGUE = [b"a", b"b", b"c", b"cold"]
# u1 is gone, u3 is new; items and genres were put in another order, and grew.
NEW = {"user_id": [b"u3", b"u2"], "item_id": [b"c", b"new", b"a", b"b"], "genres": [b"y", b"z", b"x"]}
NEW_CATALOGUE = [b"new", b"c", b"cold", b"a", b"b"]
NUM_SPECIAL = {"user_id": 2, "item_id": 3, "genres": 2}


def space_and_keys(tokens: dict[str, list[bytes]], catalogue: list[bytes]) -> tuple[FeatureSpace, dict[str, Keys]]:
    keys = {name: Keys(tokens[name], NUM_SPECIAL[name]) for name in tokens}
    sizes = {name: len(each) for name, each in keys.items()}
    space = FeatureSpace.from_records(RECORDS, sizes, num_items=len(catalogue))
    return space, keys | {CATALOGUE: Keys(catalogue)}


def filled(model: keras.Model) -> keras.Model:
    """Return the model with every number of its weights another."""
    start = 1
    for weight in model.weights:
        size = int(np.prod(weight.shape))
        weight.assign(np.arange(start, start + size, dtype=np.float32).reshape(weight.shape))
        start += size
    return model


def base_of(name: str) -> tuple[keras.Model, TrainedWeights]:
    space, keys = space_and_keys(OLD, OLD_CATALOGUE)
    model = filled(build(params_of(name), space))
    return model, TrainedWeights.of(params_of(name), model, keys)


def test_embeddings_follow_their_tokens() -> None:
    _, base = base_of("two_tower")
    space, keys = space_and_keys(NEW, NEW_CATALOGUE)
    params = params_of("two_tower")
    model = build(params, space)
    fresh = {path: weight.numpy() for path, weight in named_weights(model).items()}
    assert start_from(base, model, params, space, keys) == len(fresh)
    now = {path: weight.numpy() for path, weight in named_weights(model).items()}
    table = "query/vectors/tables/item_id/table"
    old, new = base.weights[table], now[table]
    # padding and the two OOV ids, then c, new, a, b; the old order was a, b, c
    np.testing.assert_array_equal(new[[0, 1, 2, 3, 5, 6]], old[[0, 1, 2, 5, 3, 4]])
    np.testing.assert_array_equal(new[4], fresh[table][4])
    users = "query/vectors/tables/user_id/table"
    np.testing.assert_array_equal(now[users][3], base.weights[users][3])
    np.testing.assert_array_equal(now[users][2], fresh[users][2])
    np.testing.assert_array_equal(now["query/bias"], base.weights["query/bias"])


@pytest.mark.parametrize("name", [name for name in MODELS if name not in CLOSED_FORM])
def test_scores_of_what_both_models_know_stay_the_same(name: str) -> None:
    old_space, old_keys = space_and_keys(OLD, OLD_CATALOGUE)
    old_model = build(params_of(name), old_space)
    for weight in old_model.weights:
        weight.assign(np.random.default_rng(1).normal(0.0, 0.3, weight.shape))
    base = TrainedWeights.of(params_of(name), old_model, old_keys)
    space, keys = space_and_keys(NEW, NEW_CATALOGUE)
    model = build(params_of(name), space)
    taken = start_from(base, model, params_of(name), space, keys)
    assert taken == len(named_weights(model))
    # u2, with the history a, c, is asked about b: the same row in the ids of both.
    old_row = batch(old_space, user=3, history=[3, 5], item=4, genre=2, index=1)
    new_row = batch(space, user=3, history=[5, 3], item=6, genre=4, index=4)
    np.testing.assert_allclose(model(new_row), old_model(old_row), rtol=1e-5, atol=1e-6)


def batch(space: FeatureSpace, user: int, history: list[int], item: int, genre: int, index: int) -> dict[str, Any]:
    row = {name: values.copy() for name, values in space.sample(1).items()}
    row["user_id"][0], row["item_id"][0], row["genres"][0, 0], row["catalogue_index"][0] = user, item, genre, index
    row["history"][0, -len(history) :] = history
    return {name: tf.constant(values) for name, values in row.items()}


def test_it_is_found_out_what_an_axis_counts() -> None:
    space, keys = space_and_keys(OLD, OLD_CATALOGUE)
    two_tower = counting_axes(params_of("two_tower"), space, keys)
    assert two_tower["query/vectors/tables/item_id/table"] == (("item_id", 0), None)
    assert two_tower["query/bias"] == (None,)
    popularity = counting_axes(params_of("popularity"), space, keys)
    assert popularity["log_counts"] == ((CATALOGUE, 1), None)


def test_what_does_not_fit_starts_anew() -> None:
    _, base = base_of("two_tower")
    space, keys = space_and_keys(OLD, OLD_CATALOGUE)
    wider = params_of("two_tower", embedding_dim=8)
    model = build(wider, space)
    before = model.get_weights()
    assert start_from(base, model, wider, space, keys) == 1  # the 8 weights of the positions
    assert sum(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)) == 1
    other = params_of("sasrec")
    assert start_from(base, build(other, space), other, space, keys) == 0


def test_weights_survive_the_disk(tmp_path: Path) -> None:
    _, base = base_of("two_tower")
    keys = {"odd": Keys([b"", b"\x00", "ö".encode()], 2), "none": Keys([], 1)}
    odd = dataclasses.replace(base, keys=base.keys | keys)
    odd.save(f"{tmp_path}/warm_start/weights.npz")
    read = TrainedWeights.load(f"{tmp_path}/warm_start/weights.npz")
    assert read.model == "two_tower"
    assert {name: (list(k.tokens), k.num_special) for name, k in read.keys.items()} == {
        name: (list(k.tokens), k.num_special) for name, k in odd.keys.items()
    }
    assert read.weights.keys() == base.weights.keys()
    for path, values in read.weights.items():
        np.testing.assert_array_equal(values, base.weights[path])


def test_a_warm_start_begins_where_the_base_ended() -> None:
    toy = loaded()
    params = parse_params({"name": "two_tower", "embedding_dim": 16, "dropout": 0.0})
    settings = TrainingSettings(epochs=6, batch_size=64, learning_rate=0.02)
    first, history = fit(params, settings, toy.space, toy.data)
    keys = {CATALOGUE: Keys(toy.data.catalogue.item_ids.tolist())}
    # No keys of vocabularies: their tables are of one size and go row by row.
    around = Surroundings(keys=keys, base=TrainedWeights.of(params, first, keys))
    gentle = settings.model_copy(update={"epochs": 1, "learning_rate": 1e-6})
    _, again = fit(params, gentle, toy.space, toy.data, around)
    best = min(epoch["val_loss"] for epoch in history.epochs)
    assert again.epochs[0]["val_loss"] == pytest.approx(best, abs=1e-3)
    assert history.epochs[0]["val_loss"] > best + 0.1
