from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from aiohttp.test_utils import TestClient, TestServer
from tensorflow.core.protobuf import saved_model_pb2

import serving.scoring
from models.fitting import fit
from models.registry import parse_params
from serving import version_store
from serving.loaded_model import LoadedModel
from serving.servable import Servable, save
from serving.server.metrics import ServerMetrics
from serving.server.model_watcher import ModelWatcher
from serving.server.predictor import Limits, Predictor
from serving.server.rest import make_app
from settings.serving import ServingSettings
from settings.training import TrainingSettings
from tests.models.toy_data import COLD_ITEM, NUM_ITEMS, example, item_columns, loaded, user_columns, world

CATALOGUE_SIZE = NUM_ITEMS + 1


def trained(name: str) -> keras.Model:
    settings = TrainingSettings(epochs=3, batch_size=64, learning_rate=0.02, early_stopping_patience=0)
    return fit(parse_params({"name": name}), settings, loaded().space, loaded().data)[0]


def exported(task: str, model: keras.Model, path: Path, settings: ServingSettings | None = None) -> LoadedModel:
    toy = loaded()
    data = toy.data
    save(Servable(task, model, toy.space, toy.parser, data.catalogue, toy.users, data.train, settings), str(path))
    return LoadedModel(path)


@pytest.fixture(scope="module")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, LoadedModel]:
    # Small blocks, so that several of them are computed.
    settings = ServingSettings(scores_a_block=7 * CATALOGUE_SIZE)
    model = trained("two_tower")
    return model, exported("retrieval", model, tmp_path_factory.mktemp("servable") / "two_tower", settings)


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, LoadedModel]:
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


def test_ranks_of_the_test_rows_against_brute_force(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    model, signatures = retrieval
    toy = loaded()
    answer = signatures.ask("evaluate", examples=tf.constant(world().serialized("test")))
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


def test_the_eval_split_replayed_through_the_server_gets_the_answers_of_the_evaluation(
    retrieval: tuple[keras.Model, LoadedModel], tmp_path: Path
) -> None:
    model, signatures = retrieval
    rows = world().serialized("eval")
    version_store.push(signatures.model_dir, tmp_path / "films")
    encoded = [{"b64": base64.b64encode(row).decode()} for row in rows]

    async def replayed() -> list[Any]:
        watcher = ModelWatcher(tmp_path / "films")
        await watcher.start()
        predictor = Predictor("films", watcher, Limits(), ServerMetrics())
        requests = (
            {"signature_name": "recommend", "inputs": {"context": encoded, "k": CATALOGUE_SIZE}},
            {"inputs": {"examples": encoded}},
        )
        async with TestClient(TestServer(make_app(predictor))) as client:
            answers = [await (await client.post("/v1/models/films:predict", json=body)).json() for body in requests]
        await predictor.close()
        await watcher.stop()
        return [answer["outputs"] for answer in answers]

    lists, scores = asyncio.run(replayed())
    evaluated = signatures.ask("evaluate", examples=tf.constant(rows))
    features = {name: tf.constant(values) for name, values in loaded().data.eval.features.items()}
    np.testing.assert_allclose(scores, model(features), atol=1e-5)
    assert lists["rung"] == ["model"] * len(rows)
    for row, serialized in enumerate(rows):
        own = tf.train.Example.FromString(serialized).features.feature["item_id"].bytes_list.value[0].decode()
        place = lists["item_ids"][row].index(own)
        assert evaluated["rank"][row] == place + 1
        assert lists["scores"][row][place] == pytest.approx(scores[row], abs=1e-5)
        assert [item.encode() for item in lists["item_ids"][row]] == evaluated["top_items"][row][
            :CATALOGUE_SIZE
        ].tolist()


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_recommend_pairs_the_user_with_the_catalogue_and_leaves_out_what_was_seen(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model, signatures = request.getfixturevalue(kind)
    users = [4, 1, 17]
    answer = signatures.ask("recommend", user_id=tf.constant([f"u{u}" for u in users]), k=tf.constant(6))
    scores = scores_of_users(model, users)
    scores = 1 / (1 + np.exp(-scores)) if kind == "ranking" else scores
    for row, user in enumerate(users):
        left = [item for item in range(CATALOGUE_SIZE) if item not in seen_of(user)]
        found = [int(item) for item in answer["item_ids"][row]]
        assert len(set(found)) == 6
        assert set(found) <= set(left)
        np.testing.assert_allclose(answer["scores"][row], sorted(scores[row][left], reverse=True)[:6], rtol=1e-4)
        np.testing.assert_allclose(answer["scores"][row], scores[row][found], rtol=1e-4)
        assert answer["titles"][row].tolist() == [f"Item {item}".encode() for item in found]
    assert answer["known"].all()


def test_more_than_the_catalogue_ends_in_empty_items(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    answer = retrieval[1].ask("recommend", user_id=tf.constant(["u3"]), k=tf.constant(CATALOGUE_SIZE + 4))
    items = answer["item_ids"][0]
    left = CATALOGUE_SIZE - len(seen_of(3))
    assert items.shape == (CATALOGUE_SIZE + 4,)
    assert len(set(items[:left])) == left
    assert set(items[left:]) == {b""}
    assert np.isneginf(answer["scores"][0, left:]).all()
    assert np.isfinite(answer["scores"][0, :left]).all()


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_strangers_get_what_is_popular(kind: str, request: pytest.FixtureRequest) -> None:
    _, signatures = request.getfixturevalue(kind)
    answer = signatures.ask("recommend", user_id=tf.constant(["nobody", "u1", ""]), k=tf.constant(4))
    assert answer["known"].tolist() == [False, True, False]
    counts = np.bincount(loaded().data.train.features["catalogue_index"], minlength=CATALOGUE_SIZE)
    expected = sorted(range(CATALOGUE_SIZE), key=lambda i: (-counts[i], i))[:4]
    for row in (0, 2):
        assert [int(item) for item in answer["item_ids"][row]] == expected
        assert answer["scores"][row].tolist() == counts[expected].tolist()


def test_no_user_and_no_row_are_answered_with_nothing(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    _, signatures = retrieval
    answer = signatures.ask("recommend", user_id=tf.constant([], tf.string), k=tf.constant(3))
    assert answer["item_ids"].shape == (0, 3)
    assert signatures.ask("evaluate", examples=tf.constant([], tf.string))["rank"].shape == (0,)
    assert signatures.ask("recommend", user_id=tf.constant(["u1"]), k=tf.constant(0))["item_ids"].shape == (1, 0)


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_rows_that_lack_everything_are_scored(kind: str, request: pytest.FixtureRequest) -> None:
    _, signatures = request.getfixturevalue(kind)
    rows = [example(), example(user_id="new", item_id="never heard of"), example(**user_columns(2), **item_columns(5))]
    scores = signatures.ask("serving_default", examples=tf.constant(rows))["scores"]
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    evaluated = signatures.ask("evaluate", examples=tf.constant(rows))
    if kind == "retrieval":
        assert evaluated["rank"][:2].tolist() == [CATALOGUE_SIZE + 1] * 2
        assert evaluated["popularity_rank"][:2].tolist() == [CATALOGUE_SIZE + 1] * 2
    else:
        np.testing.assert_allclose(evaluated["score"], scores)
        # Nothing is known of an item outside the catalogue: the share of likes in train.
        np.testing.assert_allclose(evaluated["popularity_score"][:2], loaded().data.train.liked.mean(), rtol=1e-5)


def test_the_popularity_score_is_the_smoothed_share_of_likes(ranking: tuple[keras.Model, LoadedModel]) -> None:
    train = loaded().data.train
    found = ranking[1].ask(
        "evaluate", examples=tf.constant([example(**item_columns(8)), example(**item_columns(COLD_ITEM))])
    )
    of_8 = train.liked[train.features["catalogue_index"] == 8]
    mean = train.liked.mean()
    expected = [(of_8.sum() + 10 * mean) / (len(of_8) + 10), mean]
    np.testing.assert_allclose(found["popularity_score"], expected, rtol=1e-5)
    assert found["spread"].tolist() == [0.0, 0.0]


def test_weights_that_are_no_numbers_are_told_and_break_nothing(tmp_path: Path) -> None:
    model = trained("two_tower")
    model.set_weights([np.full_like(w, np.nan) if w.dtype.kind == "f" else w for w in model.get_weights()])
    signatures = exported("retrieval", model, tmp_path / "broken")
    answer = signatures.ask("evaluate", examples=tf.constant(world().serialized("test")[:4]))
    assert answer["rank"].tolist() == [CATALOGUE_SIZE + 1] * 4
    assert answer["finite"].tolist() == [0.0] * 4
    assert answer["spread"].tolist() == [0.0] * 4
    assert set(signatures.ask("recommend", user_id=tf.constant(["u1"]), k=tf.constant(2))["item_ids"][0]) == {b""}


def test_transformed_features_are_those_of_training(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    found = retrieval[1].ask("transform_features", examples=tf.constant(world().serialized("test")))
    expected = {name: values for name, values in loaded().test.features.items() if name != "catalogue_index"}
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values)


def test_only_stock_operations_are_saved(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    saved = saved_model_pb2.SavedModel.FromString((retrieval[1].model_dir / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert len(nodes) > 1000
    assert not {node.op for node in nodes} & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def items_of(answer: dict[str, np.ndarray], row: int = 0) -> list[int]:
    return [int(item) for item in answer["item_ids"][row] if item]


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_the_less_is_known_the_plainer_the_rule_that_answers(kind: str, request: pytest.FixtureRequest) -> None:
    _, model = request.getfixturevalue(kind)
    # A nobody, two events, three events, three of which one names no item, and a stored user.
    histories = [["", "", ""], ["", "2", "4"], ["2", "4", "6"], ["2", "4", "never heard of"], ["", "", ""]]
    answer = model.ask("recommend", user_id=["", "", "new", "", "u6"], history=histories, k=5)
    rungs = [b"popularity", b"similar_items", b"model", b"similar_items", b"model"]
    assert answer["rung"].tolist() == rungs
    assert answer["known"].tolist() == [False, False, False, False, True]
    for row, history in enumerate(histories):
        assert not {int(item) for item in history if item.isdigit()} & set(items_of(answer, row))
    assert answer["because"][0].tolist() == [b""] * 5
    assert set(answer["because"][1]) <= {b"2", b"4"}
    # Even items were chosen together.
    assert [item % 2 for item in items_of(answer, 1)][:3] == [0, 0, 0]


def test_similar_items_scores_are_mean_cosines(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    model, served = retrieval
    items = {k: tf.constant(v) for k, v in loaded().data.catalogue.features.items()}
    vectors = model.encode_candidate(items).numpy()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = units @ (units[2] + units[4]) / 2
    answer = served.ask("recommend", history=[["2", "4"]], k=CATALOGUE_SIZE)
    left = sorted(set(range(CATALOGUE_SIZE)) - {2, 4}, key=lambda i: (-expected[i], i))
    np.testing.assert_allclose(answer["scores"][0, : len(left)], expected[left], atol=1e-5)
    for item, because in zip(items_of(answer), answer["because"][0], strict=False):
        closest = max((2, 4), key=lambda liked: units[item] @ units[liked])
        assert because.decode() == (str(closest) if units[item] @ units[closest] > 0 else "")
    similar = served.ask("similar_items", item_id=["5", "never heard of", ""], k=3)
    order = sorted(set(range(CATALOGUE_SIZE)) - {5}, key=lambda i: (-(units @ units[5])[i], i))
    np.testing.assert_allclose(similar["scores"][0], (units @ units[5])[order[:3]], atol=1e-5)
    assert similar["known"].tolist() == [True, False, False]
    assert similar["item_ids"][1:].tolist() == [[b""] * 3] * 2


def test_a_history_stands_for_the_user_it_came_from(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    _, served = retrieval
    state = {
        tf.train.Example.FromString(row).features.feature["user_id"].bytes_list.value[0]: row
        for row in world().serialized("users")
    }
    stored = served.ask("recommend", user_id=["u4"], k=6)
    # The same raw row from outside gives the same answer, and the same vector.
    told = served.ask("recommend", context=[state[b"u4"]], k=6)
    np.testing.assert_allclose(told["scores"], stored["scores"], rtol=1e-5)
    assert told["item_ids"].tolist() == stored["item_ids"].tolist()
    assert told["known"].tolist() == [False]
    vectors = [
        served.ask("embed_query", **who)["embedding"] for who in ({"user_id": ["u4"]}, {"context": [state[b"u4"]]})
    ]
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=1e-5)
    # What the request says counts: another age, and one more event behind the stored ones.
    older = served.ask("embed_query", user_id=["u4"], context=[example(age=70)])["embedding"]
    assert not np.allclose(older, vectors[0])
    past = [
        item.decode()
        for item in tf.train.Example.FromString(state[b"u4"]).features.feature["history_item_ids"].bytes_list.value
    ]
    longer = served.ask("embed_query", user_id=["u4"], history=[["1"]])["embedding"]
    whole = example(**user_columns(4), history_item_ids=[*past, "1"])
    np.testing.assert_allclose(longer, served.ask("embed_query", context=[whole])["embedding"], rtol=1e-5)


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_a_stored_user_is_answered_alike_alone_and_beside_a_stranger(kind: str, request: pytest.FixtureRequest) -> None:
    _, served = request.getfixturevalue(kind)
    # Alone by what was stored, beside a stranger by the transform and the query tower.
    alone = served.ask("recommend", user_id=["u4"], k=6)
    beside = served.ask("recommend", user_id=["u4", "a stranger"], k=6)
    np.testing.assert_allclose(beside["scores"][:1], alone["scores"], rtol=1e-5)
    for name in alone.keys() - {"scores"}:
        assert beside[name][:1].tolist() == alone[name].tolist()


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_eval_rows_are_ranked_as_in_evaluation(kind: str, request: pytest.FixtureRequest) -> None:
    _, served = request.getfixturevalue(kind)
    rows = world().serialized("test")
    own = [tf.train.Example.FromString(row).features.feature["item_id"].bytes_list.value[0] for row in rows]
    answer = served.ask("recommend", context=rows, k=CATALOGUE_SIZE)
    places = [items.tolist().index(item) for items, item in zip(answer["item_ids"], own, strict=True)]
    found = answer["scores"][np.arange(len(rows)), places]
    np.testing.assert_allclose(found, served.ask("serving_default", examples=rows)["scores"], atol=1e-5)
    if kind == "retrieval":
        assert served.ask("evaluate", examples=rows)["rank"].tolist() == [place + 1 for place in places]


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_candidates_are_put_in_the_models_order(kind: str, request: pytest.FixtureRequest) -> None:
    _, served = request.getfixturevalue(kind)
    everything = served.ask("recommend", user_id=["u4"], k=CATALOGUE_SIZE)
    scores = dict(zip(everything["item_ids"][0], everything["scores"][0], strict=True))
    left = [item for item in scores if item][:7]
    answer = served.ask("rank", user_id=["u4"], candidates=[[b"", *reversed(left), b"never heard of"]])
    assert answer["item_ids"][0].tolist() == [*left, b"", b"never heard of"]
    np.testing.assert_allclose(answer["scores"][0, :7], [scores[item] for item in left], rtol=1e-4)
    assert np.isneginf(answer["scores"][0, 7:]).all()
    assert served.ask("rank", user_id=["u4"], candidates=np.zeros((1, 0), object))["item_ids"].shape == (1, 0)


def test_candidates_can_be_excluded_and_narrowed(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    _, served = retrieval
    first = items_of(served.ask("recommend", user_id=["u4"], k=4))
    kept = items_of(served.ask("recommend", user_id=["u4"], k=3, exclude=[[str(first[0]), "never heard of", ""]]))
    assert kept == first[1:]
    users, wanted = (
        ["u4", "", "u4", "u4"],
        [["genres=odd", ""], ["genres=odd", "year=1991"], ["genres=odd", "genres=even"], ["genres=none", ""]],
    )
    answer = served.ask("recommend", user_id=users, filter=wanted, k=CATALOGUE_SIZE)
    odd = {item for item in range(CATALOGUE_SIZE) if item % 2} - seen_of(4)
    assert set(items_of(answer, 0)) == odd
    assert set(items_of(answer, 1)) == {
        item for item in range(CATALOGUE_SIZE) if item % 2 and item % 7 == 1 and item != 3
    }
    assert items_of(answer, 2) == items_of(answer, 3) == []


def test_new_items_are_embedded_from_what_is_known_of_them(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    _, served = retrieval
    columns = item_columns(COLD_ITEM)
    cold = served.ask("embed_item", examples=[example(**columns), example(**columns | {"item_id": "brand new"})])
    assert cold["embedding"].shape == (2, served.ask("embed_query", user_id=["u1"])["embedding"].shape[1])
    assert np.isfinite(cold["embedding"]).all()
    assert np.linalg.norm(cold["embedding"], axis=1).min() > 0


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_no_id_is_too_strange_to_be_answered(kind: str, request: pytest.FixtureRequest) -> None:
    _, served = request.getfixturevalue(kind)
    strange = ["", "-1", str(2**70), "x" * 100_000, "\x00", "💥"]
    history = [[item, item, item, item] for item in strange]
    answer = served.ask("recommend", user_id=strange, history=history, k=2)
    assert answer["rung"].tolist() == [b"popularity"] * 6
    assert np.isfinite(answer["scores"]).all()
    assert served.ask("similar_items", item_id=strange)["known"].tolist() == [False] * 6
    assert np.isneginf(served.ask("rank", user_id=strange, candidates=history)["scores"]).all()
    # Fewer histories than users, and more.
    assert served.ask("recommend", user_id=["u1", "u2"], history=[["3"]])["item_ids"].shape == (2, 10)
    assert served.ask("recommend", user_id=["u1"], history=[["3"], ["4"]])["item_ids"].shape == (2, 10)
    assert served.ask("recommend")["item_ids"].shape == (0, 10)


def test_the_stored_users_can_be_listed(retrieval: tuple[keras.Model, LoadedModel]) -> None:
    assert sorted(retrieval[1].user_ids()) == sorted(loaded().users.user_ids)
    assert retrieval[1].catalogue_size == CATALOGUE_SIZE
