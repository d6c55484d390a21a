from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.fitting import fit
from models.registry import parse_params, registry
from serving.loaded_model import LoadedModel
from serving.servable import Servable, save
from serving.signature_checks import _recall_requests, check_model
from settings.serving import ServingSettings
from settings.training import TrainingSettings
from tests.models.toy_data import NUM_ITEMS, example, loaded, world

CATALOGUE_SIZE = NUM_ITEMS + 1
USERS = (4, 1, 17)


@cache
def trained(name: str) -> keras.Model:
    settings = TrainingSettings(epochs=2, batch_size=64, learning_rate=0.02, early_stopping_patience=0)
    return fit(parse_params({"name": name}), settings, loaded().space, loaded().data)[0]


def servable(task: str, name: str, retrieval: str | None = None, **settings: Any) -> Servable:
    toy = loaded()
    parts = (toy.space, toy.parser, toy.data.catalogue, toy.users, toy.data.train)
    first = trained(retrieval) if retrieval else None
    return Servable(task, trained(name), *parts, ServingSettings(**settings), first)


def ask(model: Servable, **inputs: Any) -> dict[str, np.ndarray]:
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return {name: values.numpy() for name, values in model.recommend(**tensors).items()}


def retrieval_scores(user: int) -> np.ndarray:
    """Scores of the catalogue from the first model, without any of the servable's code."""
    toy, model = loaded(), trained("two_tower")
    row = toy.users.user_ids.tolist().index(f"u{user}".encode())
    query = {name: tf.constant(values[row : row + 1]) for name, values in toy.users.features.items()}
    items = {name: tf.constant(values) for name, values in toy.data.catalogue.features.items()}
    return model.score(model.encode_query(query), model.encode_candidate(items)).numpy()[0]


def ranking_scores(user: int) -> np.ndarray:
    """Probabilities of the catalogue from the second model."""
    toy = loaded()
    row = toy.users.user_ids.tolist().index(f"u{user}".encode())
    query = {field.name for field in toy.space.query()}
    features = {name: np.repeat(toy.users.features[name][row : row + 1], CATALOGUE_SIZE, axis=0) for name in query} | {
        name: values for name, values in toy.data.catalogue.features.items() if name not in query
    }
    logits = trained("deepfm")({name: tf.constant(values) for name, values in features.items()}).numpy()
    return 1 / (1 + np.exp(-logits))


def unseen(user: int) -> list[int]:
    seen = set(range(user % 2, NUM_ITEMS, 2)) - set(world().withheld[user])
    return [item for item in range(CATALOGUE_SIZE) if item not in seen]


def test_one_model_retrieves_and_another_ranks() -> None:
    model = servable("ranking", "deepfm", "two_tower", num_retrieved=6)
    answer = ask(model, user_id=[f"u{user}" for user in USERS], k=4)
    for row, user in enumerate(USERS):
        retrieved = sorted(unseen(user), key=lambda item: -retrieval_scores(user)[item])[:6]
        scores = ranking_scores(user)
        expected = sorted(retrieved, key=lambda item: -scores[item])[:4]
        assert [int(item) for item in answer["item_ids"][row]] == expected
        np.testing.assert_allclose(answer["scores"][row], scores[expected], rtol=1e-4)
    assert answer["rung"].tolist() == [b"model"] * 3
    # Who is not known gets what is popular, and the first stage's vectors say what is alike.
    stranger = ask(model, user_id=["nobody"], k=3)
    counts = np.bincount(loaded().data.train.features["catalogue_index"], minlength=CATALOGUE_SIZE)
    assert stranger["scores"][0].tolist() == sorted(counts, reverse=True)[:3]
    assert {"embed_query", "embed_item"} < set(model.signatures())


def test_a_first_stage_that_retrieves_little_still_gives_all_that_was_asked_for() -> None:
    model = servable("ranking", "deepfm", "two_tower", num_retrieved=2)
    narrowed = ask(model, user_id=["u4"], k=CATALOGUE_SIZE, filter=[["genres=even"]])
    left = [item for item in unseen(4) if item % 2 == 0]
    found = [item for item in narrowed["item_ids"][0].tolist() if item]
    assert sorted(map(int, found)) == left
    assert np.isneginf(narrowed["scores"][0, len(left) :]).all()


def test_diversity_is_greedy_maximal_marginal_relevance() -> None:
    model = servable("retrieval", "two_tower", num_retrieved=12, diversity=0.5)
    vectors = trained("two_tower").encode_candidate(
        {name: tf.constant(values) for name, values in loaded().data.catalogue.features.items()}
    )
    units = tf.math.l2_normalize(vectors, axis=1).numpy()
    answer = ask(model, user_id=[f"u{user}" for user in USERS], k=5)
    for row, user in enumerate(USERS):
        scores = retrieval_scores(user)
        left = sorted(unseen(user), key=lambda item: -scores[item])[:12]
        low, high = scores[left].min(), scores[left].max()
        taken: list[int] = []
        for _ in range(5):
            likeness = {item: max((units[item] @ units[t] for t in taken), default=0.0) for item in left}
            worth = {item: 0.5 * (scores[item] - low) / (high - low) - 0.5 * likeness[item] for item in left}
            taken.append(max(left, key=lambda item: worth[item]))
            left.remove(taken[-1])
        assert [int(item) for item in answer["item_ids"][row]] == taken
    # A list without a candidate too many ends as without diversity.
    whole = ask(model, user_id=["u4"], k=CATALOGUE_SIZE)["item_ids"][0].tolist()
    assert sorted(int(item) for item in whole if item) == unseen(4)


def test_an_index_that_probes_all_lists_answers_as_the_exact_search() -> None:
    exact = servable("retrieval", "two_tower")
    assert "index_recall" not in exact.signatures()
    model = servable("retrieval", "two_tower", exact_up_to_items=CATALOGUE_SIZE - 1, min_index_recall=1.0)
    users = ["u4", "nobody", "u1", ""]
    asked = [
        {"user_id": users, "k": 6},
        {"user_id": users, "k": CATALOGUE_SIZE},  # more than the lists hold
        {"user_id": users, "k": 3, "filter": [["genres=odd"], [""], [""], ["genres=even"]]},
        {"user_id": users, "k": 3, "exclude": [["2", "4"], ["0", ""]]},
        {"user_id": ["nobody"], "k": 2},
        {"history": [["1", "3", "5"]], "k": 2},
    ]
    for request in asked:
        one, other = ask(exact, **request), ask(model, **request)
        for name in ("item_ids", "rung", "known"):
            assert one[name].tolist() == other[name].tolist(), request
        np.testing.assert_allclose(one["scores"], other["scores"], rtol=1e-5)
    answer = model.index_recall(tf.constant(world().serialized("test")))
    assert answer["recall"].numpy().mean() > 0.95
    assert answer["expected"].numpy().tolist() == [1.0] * len(world().serialized("test"))


def test_popularity_is_of_ones_segment() -> None:
    model = servable("retrieval", "two_tower", popularity_segment="user_id")
    # Users without stored events who share a field with users that have some: here the id itself.
    answer = ask(model, context=[example(user_id="u1"), example(user_id="somebody")], k=CATALOGUE_SIZE)
    assert answer["rung"].tolist() == [b"popularity"] * 2
    rows = loaded().data.train
    items = rows.features["catalogue_index"]
    overall = np.bincount(items, minlength=CATALOGUE_SIZE)
    own = np.bincount(items[rows.user_id == b"u1"], minlength=CATALOGUE_SIZE)
    for row, key in enumerate((lambda i: (-own[i], -overall[i], i), lambda i: (-overall[i], i))):
        assert [int(item) for item in answer["item_ids"][row]] == sorted(range(CATALOGUE_SIZE), key=key)


def test_all_stages_are_in_the_exported_model(tmp_path: Path) -> None:
    stages = {"num_retrieved": 6, "diversity": 0.3, "exact_up_to_items": 0, "min_index_recall": 0.9}
    model = servable("ranking", "deepfm", "two_tower", popularity_segment="user_id", **stages)
    save(model, str(tmp_path))
    exported = LoadedModel(tmp_path)
    for request in ({"user_id": ["u4", "nobody", "u1"], "k": 4}, {"user_id": ["nobody"], "k": 2}):
        expected = ask(model, **request)
        answer = exported.ask("recommend", **request)
        assert answer["item_ids"].tolist() == expected["item_ids"].tolist()
        np.testing.assert_allclose(answer["scores"], expected["scores"], rtol=1e-5)
    verdict = check_model(str(tmp_path), world().files("test"), lambda told: None)
    assert verdict.passed, verdict.reason
    assert "index_recall" in {check["signature"] for check in verdict.checks}


def test_an_index_that_finds_too_little_is_refused() -> None:
    (request,) = _recall_requests([b"", b""])
    expected = np.float32([0.98, 0.98])
    assert request.problem({"recall": np.float32([1.0, 0.96]), "expected": expected}) is None
    told = request.problem({"recall": np.float32([1.0, 0.9]), "expected": expected})
    assert told is not None
    assert told.startswith("the index finds 0.9500 of the exact ten best. Expected at least 0.98")


@pytest.mark.parametrize("name", ["deepfm", "ease"])
def test_small_catalogues_and_models_without_inner_products_have_no_index(name: str) -> None:
    task = "ranking" if name == "deepfm" else "retrieval"
    limit = 0 if name == "deepfm" else CATALOGUE_SIZE
    assert "index_recall" not in servable(task, name, exact_up_to_items=limit).signatures()


@pytest.mark.parametrize("name", [name for name, params in registry().items() if params.task == "retrieval"])
def test_every_query_tower_encodes_stored_users_as_it_encodes_requests(name: str) -> None:
    model = servable("retrieval", name)
    # Alone by the vector that was stored, beside a stranger by the transform and the query tower.
    alone, beside = ask(model, user_id=["u4"], k=5), ask(model, user_id=["u4", "a stranger"], k=5)
    np.testing.assert_allclose(beside["scores"][:1], alone["scores"], rtol=1e-4, atol=1e-5)
    assert beside["item_ids"][:1].tolist() == alone["item_ids"].tolist()
