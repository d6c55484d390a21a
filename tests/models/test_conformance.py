"""What every registered model has to fulfil."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.archetypes.retrieval import RetrievalModel, SequenceModel
from models.feature_space import CATALOGUE_INDEX
from models.fitting import build, fit
from models.registry import ModelParams, parse_params, registry
from models.training_data import TrainingData
from serving.scoring import make_scorer
from serving.servable import Servable, save
from settings.training import TrainingSettings
from tests.models.toy_data import NUM_ITEMS, RECORDS, Loaded, loaded, world

MODELS = sorted(registry())
# Fitted without gradients, and not from who chose what.
FLOORS = ("popularity", "random")
CLOSED_FORM = (*FLOORS, "ease", "ials", "item_knn")
# A small model learns the toy world in a second; one entry a hyperparameter that several models have.
SMALL = {"embedding_dim": 16, "num_blocks": 1, "hidden_units": (16,), "dropout": 0.0, "item_id_dropout": 0.0}
# What suits one model alone: 16 numbers a user are enough for least squares to learn 12 items by heart; a cosine over
# 0.1 learns in smaller steps than the others.
OWN: dict[str, dict[str, Any]] = {"ials": {"embedding_dim": 2}, "ebay_two_tower": {"temperature": 0.3}}
# Knows a user by the items of the history alone, and these do not say which of them were liked.
WITHOUT_LIKES = ("mf_history",)


@pytest.fixture(scope="module")
def toy() -> Loaded:
    return loaded()


def params_of(name: str, **changes: Any) -> ModelParams:
    known = registry()[name].model_fields
    return parse_params({"name": name} | {k: v for k, v in (SMALL | OWN.get(name, {}) | changes).items() if k in known})


def fitted(name: str, toy: Loaded, **settings: Any) -> keras.Model:
    wanted = {"epochs": 40, "batch_size": 64, "learning_rate": 0.02, "early_stopping_patience": 8, **settings}
    return fit(params_of(name), TrainingSettings(**wanted), toy.space, toy.data)[0]


@cache
def randomized(name: str) -> keras.Model:
    """Return the model with random weights, so that a model of zeros cannot pass by being 0 everywhere."""
    model = build(params_of(name), loaded().space)
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            values = generator.normal(0.0, 0.3, weight.shape)
            weight.assign(np.abs(values) if "variance" in weight.path else values)
    return model


def batch(toy: Loaded, rows: slice) -> dict[str, tf.Tensor]:
    return {name: tf.constant(values[rows]) for name, values in toy.test.features.items()}


@pytest.mark.parametrize("name", MODELS)
def test_params_survive_json_and_are_described(name: str) -> None:
    params = params_of(name)
    assert parse_params(json.loads(params.model_dump_json())) == params
    assert params.name == name
    assert type(params).__doc__
    undescribed = [key for key, info in type(params).model_fields.items() if key != "name" and not info.description]
    assert not undescribed
    params.check_features(RECORDS)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_one_and_any_order_of_features_give_the_same(name: str, toy: Loaded) -> None:
    model = randomized(name)
    whole = model(batch(toy, slice(0, 5))).numpy()
    assert whole.shape == (5,)
    assert len(set(whole.tolist())) > 1
    one = batch(toy, slice(3, 4))
    np.testing.assert_allclose(model(one), whole[3:4], rtol=1e-5, atol=1e-6)
    backwards = dict(reversed(one.items()))
    np.testing.assert_array_equal(model(backwards), model(one))


@pytest.mark.parametrize("name", [name for name in MODELS if registry()[name].task == "retrieval"])
def test_towers_look_at_their_own_fields_only(name: str, toy: Loaded) -> None:
    model = randomized(name)
    assert isinstance(model, RetrievalModel)
    features = batch(toy, slice(0, 4))
    query = {f.name for f in toy.space.query()}
    only_query = {k: v if k in query else tf.zeros_like(v) for k, v in features.items()}
    only_items = {k: tf.zeros_like(v) if k in query else v for k, v in features.items()}
    np.testing.assert_array_equal(model.encode_query(only_query), model.encode_query(features))
    np.testing.assert_array_equal(model.encode_candidate(only_items), model.encode_candidate(features))
    scores = model.score(model.encode_query(features), model.encode_candidate(features))
    np.testing.assert_allclose(np.diag(scores), model(features), rtol=1e-5, atol=1e-5)


def loss_of_equal_beginnings(features: dict[str, np.ndarray], toy: Loaded, knows_place: bool) -> float:
    """Return the entropy of the next item, given the items so far (none, at first), over all positions.

    Recurrent units cannot tell two equal beginnings apart; attention can, by how far they are from the row's end.
    """
    ids = toy.data.catalogue.features["item_id"]
    after: dict[tuple[Any, ...], Counter[int]] = {}
    for history, index in zip(features["history"], features[CATALOGUE_INDEX], strict=True):
        row = [int(i) for i in history if i] + [int(ids[index])]
        for end in range(len(row)):
            place = len(row) - end if knows_place and end else 0
            after.setdefault((place, *row[:end]), Counter())[row[end]] += 1
    total = sum(n * np.log(n / counts.total()) for counts in after.values() for n in counts.values())
    return float(-total / sum(counts.total() for counts in after.values()))


# What a ranking or rating model learns of the whole train split is asked below.
@pytest.mark.parametrize(
    "name", [n for n in MODELS if n in WITHOUT_LIKES or (registry()[n].task == "retrieval" and n not in CLOSED_FORM)]
)
def test_overfits_one_batch(name: str, toy: Loaded) -> None:
    rows = toy.data.train.where(np.arange(len(toy.data.train)) % 30 == 7)
    rows.sequence_end[:] = True
    none = rows.where(np.zeros(len(rows), bool))
    settings = TrainingSettings(epochs=150, batch_size=64, learning_rate=0.05, early_stopping_patience=0)
    model, history = fit(params_of(name, l2=0.0), settings, toy.space, TrainingData(rows, none, toy.data.catalogue))
    least = 0.0
    if isinstance(model, SequenceModel):
        least = loss_of_equal_beginnings(rows.features, toy, knows_place=name == "sasrec")
    assert history.epochs[-1]["loss"] - least < 0.1 * (history.epochs[0]["loss"] - least)


@pytest.mark.parametrize("name", [n for n in MODELS if registry()[n].task == "retrieval" and n not in FLOORS])
def test_gives_the_withheld_half_of_the_checkerboard_back(name: str, toy: Loaded) -> None:
    model = fitted(name, toy)
    items = {k: tf.constant(v) for k, v in toy.data.catalogue.features.items()}
    features = {k: tf.constant(v) for k, v in toy.users.features.items()}
    features[CATALOGUE_INDEX] = tf.fill([len(toy.users.user_ids)], tf.constant(len(toy.data.catalogue), tf.int64))
    scores = model.score(model.encode_query(features), model.encode_candidate(items)).numpy()[:, :NUM_ITEMS]
    hits = []
    for row, user in enumerate(toy.users.user_ids):
        number = int(user.decode()[1:])
        seen = toy.users.seen[toy.users.seen_starts[row] : toy.users.seen_starts[row + 1]]
        scores[row, seen[seen < NUM_ITEMS]] = -np.inf
        best = np.argsort(-scores[row], kind="stable")[: len(world().withheld[number])]
        hits += [int(item) in world().withheld[number] for item in best]
    # Chance: 2 of 14 unseen items, so 1/7.
    assert np.mean(hits) > 0.8


@pytest.mark.parametrize("name", [n for n in MODELS if registry()[n].task != "retrieval" and n not in WITHOUT_LIKES])
def test_learns_who_likes_what(name: str, toy: Loaded) -> None:
    rows = toy.data.train
    # Without eval rows: the weights are those that learnt the train split, not those that did best on other rows.
    data = TrainingData(rows, rows.where(np.zeros(len(rows), bool)), toy.data.catalogue)
    settings = TrainingSettings(epochs=40, batch_size=64, learning_rate=0.02, early_stopping_patience=0)
    model, _ = fit(params_of(name), settings, toy.space, data)
    scores = model({k: tf.constant(v) for k, v in rows.features.items()}).numpy()
    liked = rows.liked > 0
    assert scores[liked].mean() - scores[~liked].mean() > 1.0


@pytest.mark.parametrize("name", ["two_tower", "sasrec"])
def test_the_same_seed_gives_the_same_weights(name: str, toy: Loaded) -> None:
    params = params_of(name, dropout=0.2, item_id_dropout=0.2)
    settings = TrainingSettings(epochs=2, batch_size=32, seed=5)
    first, second = (fit(params, settings, toy.space, toy.data)[0] for _ in range(2))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    keras.utils.set_random_seed(6)
    differently = build(params, toy.space)
    keras.utils.set_random_seed(5)
    same_shapes = zip(differently.get_weights(), build(params, toy.space).get_weights(), strict=True)
    assert any(not np.array_equal(one, other) for one, other in same_shapes)


@pytest.mark.parametrize("name", MODELS)
def test_the_served_graph_equals_training(name: str, toy: Loaded) -> None:
    model = randomized(name)
    data, task = toy.data, registry()[name].task
    scorer = make_scorer(task, model, toy.space, data.catalogue.features, data.train)
    features = batch(toy, slice(0, 3))
    scores = tf.function(scorer.of_catalogue)(features).numpy()
    assert scores.shape == (3, len(data.catalogue))
    own = tf.gather(scores, features[CATALOGUE_INDEX], batch_dims=1)
    np.testing.assert_allclose(own, tf.function(scorer.of_rows)(features), rtol=1e-4, atol=1e-5)
    outputs = model(features).numpy()
    if task == "ranking":
        outputs = 1 / (1 + np.exp(-outputs))
    if task != "rating":  # which is also clipped to the range of train
        np.testing.assert_allclose(own, outputs, rtol=1e-4, atol=1e-5)


_ASK = """
import sys, json, numpy as np, tensorflow as tf
examples = tf.constant([bytes.fromhex(line) for line in open(sys.argv[1])])
nothing, found = tf.zeros([0, 0], tf.string), {}
for path in sys.argv[2:]:
    signatures = tf.saved_model.load(path).signatures
    found[path] = {
        "scores": signatures["serving_default"](examples=examples)["scores"].numpy().tolist(),
        "evaluate": sorted(signatures["evaluate"](examples=examples)),
        "items": [[i.decode() for i in row] for row in signatures["recommend"](
            user_id=tf.constant(["u0", "u1"]), k=tf.constant(3), history=nothing, exclude=nothing, filter=nothing,
            context=tf.zeros([0], tf.string))["item_ids"].numpy()],
    }
assert not {"models", "serving", "settings"} & set(sys.modules)
print(json.dumps(found))
"""
# A network as the score and ratings of pairs: the inner product of towers and logits of pairs are looked at in
# tests/serving/test_servable.py.
EXPORTED = ("ncf", "mf_dnn")


def test_exported_signatures_equal_training(toy: Loaded, tmp_path: Path) -> None:
    """Trained and exported models are asked in a fresh process that knows none of our code."""
    models = {name: fitted(name, toy, epochs=1, early_stopping_patience=0) for name in EXPORTED}
    for name, model in models.items():
        task, data = registry()[name].task, toy.data
        servable = Servable(task, model, toy.space, toy.parser, data.catalogue, toy.users, data.train)
        save(servable, str(tmp_path / name))
    examples = tmp_path / "examples.txt"
    examples.write_text("\n".join(row.hex() for row in world().serialized("test")))
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(examples), *(str(tmp_path / name) for name in EXPORTED)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert asked.returncode == 0, asked.stderr
    answers = json.loads(asked.stdout)
    for name, model in models.items():
        answer = answers[str(tmp_path / name)]
        outputs = model({k: tf.constant(v) for k, v in toy.test.features.items()}).numpy()
        if registry()[name].task == "ranking":
            outputs = 1 / (1 + np.exp(-outputs))
        np.testing.assert_allclose(answer["scores"], outputs, rtol=1e-4, atol=1e-5, err_msg=name)
        assert all(len(set(items)) == 3 and "" not in items for items in answer["items"]), name
        retrieval = registry()[name].task == "retrieval"
        expected = {"rank", "popularity_rank", "top_items"} if retrieval else {"score", "popularity_score"}
        assert set(answer["evaluate"]) == expected | {"finite", "spread"}, name


def test_listing_models_imports_no_framework() -> None:
    heavy = "{'tensorflow', 'keras', 'tfx', 'apache_beam'}"
    check = f"import sys; from models.registry import registry; registry(); print({heavy} & set(sys.modules))"
    asked = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "set()"
