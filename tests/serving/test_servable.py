from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import serving.scoring
import serving.servable
from models.fitting import fit
from models.registry import parse_params
from serving.servable import Servable, save
from settings.training import TrainingSettings
from tests.models.toy_data import COLD_ITEM, NUM_ITEMS, example, item_columns, loaded, user_columns, world

CATALOGUE_SIZE = NUM_ITEMS + 1


def trained(name: str) -> keras.Model:
    settings = TrainingSettings(epochs=3, batch_size=64, learning_rate=0.02, early_stopping_patience=0)
    return fit(parse_params({"name": name}), settings, loaded().space, loaded().data)[0]


def exported(task: str, model: keras.Model, path: Path) -> dict[str, Any]:
    toy = loaded()
    save(Servable(task, model, toy.space, toy.parser, toy.data.catalogue, toy.users, toy.data.train), str(path))
    reloaded = tf.saved_model.load(str(path))
    signatures = dict(reloaded.signatures)
    signatures["keep"] = reloaded
    return signatures


@pytest.fixture(scope="module")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, dict[str, Any]]:
    # Small blocks, so that several of them are computed.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving.servable, "_SCORES_A_BLOCK", 7 * CATALOGUE_SIZE)
        model = trained("two_tower")
        return model, exported("retrieval", model, tmp_path_factory.mktemp("servable") / "two_tower")


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving.scoring, "_PAIRS_A_BLOCK", 20)
        model = trained("deepfm")
        return model, exported("ranking", model, tmp_path_factory.mktemp("servable") / "deepfm")


def scores_of_users(model: keras.Model, users: list[int]) -> np.ndarray:
    """The catalogue's scores from the training graph, without any of the servable's code."""
    toy = loaded()
    items = toy.data.catalogue.features
    rows = [toy.users.user_ids.tolist().index(f"u{user}".encode()) for user in users]
    table = []
    for row in rows:
        features = {
            name: np.repeat(values[row : row + 1], CATALOGUE_SIZE, axis=0)
            for name, values in toy.users.features.items()
        }
        features |= {name: items[name] for name in items if name not in {f.name for f in toy.space.query()}}
        table.append(model({name: tf.constant(values) for name, values in features.items()}).numpy())
    return np.array(table)


def seen_of(user: int) -> set[int]:
    return set(range(user % 2, NUM_ITEMS, 2)) - set(world().withheld[user])


def test_ranks_of_the_test_rows_against_brute_force(retrieval: tuple[keras.Model, dict[str, Any]]) -> None:
    model, signatures = retrieval
    toy = loaded()
    answer = {k: v.numpy() for k, v in signatures["evaluate"](examples=tf.constant(world().serialized("test"))).items()}
    items = {k: tf.constant(v) for k, v in toy.data.catalogue.features.items()}
    features = {k: tf.constant(v) for k, v in toy.test.features.items()}
    scores = model.score(model.encode_query(features), model.encode_candidate(items)).numpy()
    counts = np.bincount(toy.data.train.features["catalogue_index"], minlength=CATALOGUE_SIZE)
    for row, serialized in enumerate(world().serialized("test")):
        columns = tf.train.Example.FromString(serialized).features.feature
        own = int(columns["item_id"].bytes_list.value[0])
        seen = {int(item) for item in columns["seen_item_ids"].bytes_list.value}
        left = [item for item in range(CATALOGUE_SIZE) if item == own or item not in seen]
        for key, values in (("rank", scores[row]), ("popularity_rank", counts)):
            assert answer[key][row] == 1 + sorted(left, key=lambda i: (-values[i], i)).index(own)
    assert answer["finite"].tolist() == [1.0] * len(scores)
    np.testing.assert_allclose(answer["spread"], scores.max(1) - scores.min(1), rtol=1e-5)


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_recommend_pairs_the_user_with_the_catalogue_and_leaves_out_what_was_seen(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model, signatures = request.getfixturevalue(kind)
    users = [4, 1, 17]
    answer = signatures["recommend"](user_id=tf.constant([f"u{u}" for u in users]), k=tf.constant(6))
    scores = scores_of_users(model, users)
    scores = 1 / (1 + np.exp(-scores)) if kind == "ranking" else scores
    for row, user in enumerate(users):
        left = [item for item in range(CATALOGUE_SIZE) if item not in seen_of(user)]
        found = [int(item) for item in answer["item_ids"].numpy()[row]]
        assert len(set(found)) == 6
        assert set(found) <= set(left)
        np.testing.assert_allclose(
            answer["scores"].numpy()[row], sorted(scores[row][left], reverse=True)[:6], rtol=1e-4
        )
        np.testing.assert_allclose(answer["scores"].numpy()[row], scores[row][found], rtol=1e-4)
        assert answer["titles"].numpy()[row].tolist() == [f"Item {item}".encode() for item in found]
    assert answer["known"].numpy().all()


def test_more_than_the_catalogue_ends_in_empty_items(retrieval: tuple[keras.Model, dict[str, Any]]) -> None:
    answer = retrieval[1]["recommend"](user_id=tf.constant(["u3"]), k=tf.constant(CATALOGUE_SIZE + 4))
    items = answer["item_ids"].numpy()[0]
    left = CATALOGUE_SIZE - len(seen_of(3))
    assert items.shape == (CATALOGUE_SIZE + 4,)
    assert len(set(items[:left])) == left
    assert set(items[left:]) == {b""}
    assert np.isneginf(answer["scores"].numpy()[0, left:]).all()
    assert np.isfinite(answer["scores"].numpy()[0, :left]).all()


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_strangers_get_what_is_popular(kind: str, request: pytest.FixtureRequest) -> None:
    _, signatures = request.getfixturevalue(kind)
    answer = signatures["recommend"](user_id=tf.constant(["nobody", "u1", ""]), k=tf.constant(4))
    assert answer["known"].numpy().tolist() == [False, True, False]
    counts = np.bincount(loaded().data.train.features["catalogue_index"], minlength=CATALOGUE_SIZE)
    expected = sorted(range(CATALOGUE_SIZE), key=lambda i: (-counts[i], i))[:4]
    for row in (0, 2):
        assert [int(item) for item in answer["item_ids"].numpy()[row]] == expected
        assert answer["scores"].numpy()[row].tolist() == counts[expected].tolist()


def test_no_user_and_no_row_are_answered_with_nothing(retrieval: tuple[keras.Model, dict[str, Any]]) -> None:
    _, signatures = retrieval
    answer = signatures["recommend"](user_id=tf.constant([], tf.string), k=tf.constant(3))
    assert answer["item_ids"].shape == (0, 3)
    assert signatures["evaluate"](examples=tf.constant([], tf.string))["rank"].shape == (0,)
    assert signatures["recommend"](user_id=tf.constant(["u1"]), k=tf.constant(0))["item_ids"].shape == (1, 0)


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_rows_that_lack_everything_are_scored(kind: str, request: pytest.FixtureRequest) -> None:
    _, signatures = request.getfixturevalue(kind)
    rows = [example(), example(user_id="new", item_id="never heard of"), example(**user_columns(2), **item_columns(5))]
    scores = signatures["serving_default"](examples=tf.constant(rows))["scores"].numpy()
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    evaluated = signatures["evaluate"](examples=tf.constant(rows))
    if kind == "retrieval":
        assert evaluated["rank"].numpy()[:2].tolist() == [CATALOGUE_SIZE + 1] * 2
        assert evaluated["popularity_rank"].numpy()[:2].tolist() == [CATALOGUE_SIZE + 1] * 2
    else:
        np.testing.assert_allclose(evaluated["score"], scores)
        # Nothing is known of an item outside the catalogue: the share of likes in train.
        np.testing.assert_allclose(
            evaluated["popularity_score"].numpy()[:2], loaded().data.train.liked.mean(), rtol=1e-5
        )


def test_the_popularity_score_is_the_smoothed_share_of_likes(ranking: tuple[keras.Model, dict[str, Any]]) -> None:
    train = loaded().data.train
    found = ranking[1]["evaluate"](
        examples=tf.constant([example(**item_columns(8)), example(**item_columns(COLD_ITEM))])
    )
    of_8 = train.liked[train.features["catalogue_index"] == 8]
    mean = train.liked.mean()
    expected = [(of_8.sum() + 10 * mean) / (len(of_8) + 10), mean]
    np.testing.assert_allclose(found["popularity_score"], expected, rtol=1e-5)
    assert found["spread"].numpy().tolist() == [0.0, 0.0]


def test_weights_that_are_no_numbers_are_told_and_break_nothing(tmp_path: Path) -> None:
    model = trained("two_tower")
    model.set_weights([np.full_like(w, np.nan) if w.dtype.kind == "f" else w for w in model.get_weights()])
    signatures = exported("retrieval", model, tmp_path / "broken")
    answer = signatures["evaluate"](examples=tf.constant(world().serialized("test")[:4]))
    assert answer["rank"].numpy().tolist() == [CATALOGUE_SIZE + 1] * 4
    assert answer["finite"].numpy().tolist() == [0.0] * 4
    assert answer["spread"].numpy().tolist() == [0.0] * 4
    assert set(signatures["recommend"](user_id=tf.constant(["u1"]), k=tf.constant(2))["item_ids"].numpy()[0]) == {b""}


def test_transformed_features_are_those_of_training(retrieval: tuple[keras.Model, dict[str, Any]]) -> None:
    found = retrieval[1]["transform_features"](examples=tf.constant(world().serialized("test")))
    expected = {name: values for name, values in loaded().test.features.items() if name != "catalogue_index"}
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values)


def test_only_stock_operations_are_saved(retrieval: tuple[keras.Model, dict[str, Any]]) -> None:
    graph = retrieval[1]["evaluate"].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not {node.op for node in nodes} & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}
