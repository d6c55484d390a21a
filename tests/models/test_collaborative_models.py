"""The formulas of the retrieval and rating models against NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from models.archetypes import neural_score
from models.archetypes.convolution_tower import ConvolutionTower
from models.archetypes.graph import GraphModel
from models.archetypes.item_history import ItemHistoryModel
from models.archetypes.long_and_short import LongAndShortModel, Metric
from models.archetypes.neural_score import Mode, NeuralScoreModel
from models.archetypes.recurrent import RecurrentModel
from models.archetypes.towers import TowersModel
from models.archetypes.towers_rating import TowersRatingModel
from models.feature_space import Field
from models.layers.dense_tower import DenseTower
from models.layers.graph_propagation import propagated
from models.layers.history_vector import HistoryVector
from models.layers.id_vector import IdVector
from models.layers.newest_when_serving import NewestWhenServing
from models.layers.sequence_convolution import SequenceConvolution
from models.layers.time_attention import TimeAttention
from models.layers.with_one import WithOne
from models.registry import parse_params
from tests.models.toy_data import RECORDS

USER = Field("user_id", "categorical", "query", "user_id", 5, num_oov=1)
ITEM = Field("item_id", "categorical", "candidate", "item_id", 7, num_oov=1)
HISTORY = Field("history", "sequence", "query", "item_id", 7, length=4, num_oov=1)
AGE = Field("age", "numeric", "query")
FEATURES = {
    "user_id": np.array([2, 4, 1]),
    "item_id": np.array([3, 6, 2]),
    "history": np.array([[0, 2, 1, 5], [3, 4, 6, 2], [0, 0, 0, 0]]),
    "age": np.array([0.5, -1.0, 2.0], np.float32),
}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def randomized(layer: Any) -> Any:
    """Give the called layer weights large enough for every term to matter."""
    generator = np.random.default_rng(2)
    for weight in layer.weights:
        if "seed" not in weight.path:
            weight.assign(generator.normal(0.0, 0.7, weight.shape))
    return layer


def array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def known(table: Any, ids: np.ndarray) -> np.ndarray:
    return np.where(ids[..., None] > 1, array(table)[ids], 0.0)


def dense(layer: keras.layers.Dense, x: np.ndarray) -> np.ndarray:
    return x @ array(layer.kernel) + (array(layer.bias) if layer.use_bias else 0.0)


def test_inner_product_with_an_item_bias() -> None:
    model = TowersModel(WithOne(IdVector(USER, 3)), IdVector(ITEM, 4), l2=0.2)
    model(FEATURES)
    randomized(model)
    u = known(model.query.layer.embeddings.table, FEATURES["user_id"])
    i = known(model.candidate.embeddings.table, FEATURES["item_id"])
    found = model.score(model.encode_query(FEATURES), model.encode_candidate(FEATURES))
    np.testing.assert_allclose(found, u @ i[:, :3].T + i[:, 3], rtol=1e-5, atol=1e-6)
    penalty = 0.1 * ((u**2).sum(axis=1) + 1 + (i**2).sum(axis=1))
    np.testing.assert_allclose(model.penalty(FEATURES), penalty, rtol=1e-5)


def clipped(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1.0)


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return ((clipped(left)[:, None] - clipped(right)[None]) ** 2).sum(axis=-1)


def test_distance_in_the_unit_ball() -> None:
    model = TowersModel(IdVector(USER, 3), IdVector(ITEM, 3), "distance")
    model(FEATURES)
    randomized(model)
    u = known(model.query.embeddings.table, FEATURES["user_id"])
    i = known(model.candidate.embeddings.table, FEATURES["item_id"])
    assert np.linalg.norm(i, axis=1).max() > 1
    found = model.score(model.encode_query(FEATURES), model.encode_candidate(FEATURES))
    np.testing.assert_allclose(found, -distances(u, i), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["gmf", "mlp", "neumf"])
def test_ncf_against_numpy(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    model = NeuralScoreModel(USER, ITEM, mode, 3, (4, 2), dropout=0.0)
    model(FEATURES)
    randomized(model)
    p = known(model.query.embeddings.table, FEATURES["user_id"])
    q = known(model.candidate.embeddings.table, FEATURES["item_id"])
    expected = np.zeros((3, 3))
    for row in range(3):
        for column in range(3):
            x = np.concatenate([p[row, -3:], q[column, -3:]])
            for layer in model.stack.hidden if model.stack else ():
                x = np.maximum(dense(layer, x), 0)
            product = p[row, :3] * q[column, :3]
            last = {"gmf": product, "mlp": x, "neumf": np.concatenate([product, x])}[mode]
            expected[row, column] = dense(model.output_weights, last)[0]
    query, candidate = model.encode_query(FEATURES), model.encode_candidate(FEATURES)
    np.testing.assert_allclose(model.score(query, candidate), expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(neural_score, "CANDIDATES_AT_ONCE", 2)
    np.testing.assert_allclose(model.score(query, candidate), expected, rtol=1e-4, atol=1e-5)


def test_propagation_against_the_normalised_adjacency_matrix() -> None:
    users, items = normal(3, 2), normal(4, 2)
    edges = np.array([[0, 0, 1, 2, 2, 2], [0, 3, 3, 0, 1, 3]])
    adjacency = np.zeros((7, 7))
    adjacency[edges[0], 3 + edges[1]] = adjacency[3 + edges[1], edges[0]] = 1.0
    scale = np.diag(1 / np.sqrt(np.maximum(adjacency.sum(axis=1), 1.0)))
    step = scale @ adjacency @ scale
    start = np.concatenate([users, items])
    expected = (start + step @ start + step @ step @ start) / 3
    found = propagated(ops.convert_to_tensor(users), ops.convert_to_tensor(items), edges[0], edges[1], num_layers=2)
    np.testing.assert_allclose(np.concatenate([array(part) for part in found]), expected, rtol=1e-5, atol=1e-6)


def test_a_graph_model_serves_what_it_trained_without_the_graph() -> None:
    model = GraphModel(USER, ITEM, 3, num_layers=2, l2=0.0)
    model(FEATURES)
    randomized(model)
    before = array(model(FEATURES))
    # Twice the same edge counts once; the unknown user of the last row gives none.
    model.begin({name: np.concatenate([values, values[:1]]) for name, values in FEATURES.items()}, FEATURES)
    assert model.edges is not None
    assert model.edges.T.tolist() == [[2, 3], [4, 6]]
    within = array(model(FEATURES))
    model.finish()
    np.testing.assert_allclose(model(FEATURES), within, rtol=1e-5, atol=1e-6)
    assert not np.allclose(before, within)
    assert within[2] == 0.0


def test_side_information_of_a_graph_adds_to_layer_0_and_speaks_for_unknown_ids() -> None:
    year = Field("year", "numeric", "candidate")
    model = GraphModel(USER, ITEM, 3, num_layers=1, l2=0.0, item_sides=[year])
    features = FEATURES | {"year": np.array([2.0, -1.0, 0.5], np.float32)}
    model(features)
    randomized(model)
    of_year = array(model.items.side_vectors.numeric["year"])
    users, items = array(model.users.embeddings.table), array(model.items.embeddings.table).copy()
    items[[3, 6, 2]] += np.array([[2.0], [-1.0], [0.5]]) * of_year
    model.begin(features, features)
    # Edges: user 2 - item 3, user 4 - item 6; the third user is unknown. All degrees are 1.
    expected = [
        (users[2] + items[3]) / 2 @ ((users[2] + items[3]) / 2),
        (users[4] + items[6]) / 2 @ ((users[4] + items[6]) / 2),
    ]
    np.testing.assert_allclose(array(model(features))[:2], expected, rtol=1e-4)
    model.finish()
    np.testing.assert_allclose(array(model(features))[:2], expected, rtol=1e-4)
    cold = model.encode_candidate({"item_id": np.array([1]), "year": np.array([3.0], np.float32)})
    np.testing.assert_allclose(cold, [3.0 * of_year], rtol=1e-5)


def test_neumf_starts_from_its_trained_parts() -> None:
    gmf, mlp, both = (NeuralScoreModel(USER, ITEM, mode, 3, (4, 2), 0.0) for mode in ("gmf", "mlp", "neumf"))  # type: ignore[arg-type]
    for model in (gmf, mlp, both):
        model(FEATURES)
        randomized(model)
    both.start_from(gmf, mlp)
    np.testing.assert_allclose(
        both(FEATURES), 0.5 * (array(gmf(FEATURES)) + array(mlp(FEATURES))), rtol=1e-4, atol=1e-6
    )
    modes = [part.model_dump()["mode"] for part in parse_params({"name": "ncf", "pretrained": True}).parts()]
    assert modes == ["gmf", "mlp"]
    assert parse_params({"name": "ncf"}).parts() == ()


def test_a_tower_takes_numbers_with_their_powers() -> None:
    tower = DenseTower([AGE], 4, hidden_units=[2], powers=True)
    tower(FEATURES)
    x = FEATURES["age"]
    expected = np.maximum(dense(tower.stack.hidden[0], np.stack([x, x**2, np.sign(x) * np.abs(x) ** 0.5], axis=1)), 0)
    np.testing.assert_allclose(tower(FEATURES), expected, rtol=1e-5, atol=1e-6)


def test_a_history_is_known_by_the_item_towers_vectors() -> None:
    model = ItemHistoryModel(HISTORY, ITEM, [ITEM], [AGE], 3, (4,), (5,), "mean", 0.5, 0.0)
    model(FEATURES)
    randomized(model)
    # The catalogue lacks items 4 and 6, and its item 1 is out of vocabulary.
    catalogue = {"item_id": np.array([5, 1, 2, 3])}
    model.begin(FEATURES, catalogue)
    vectors = dict(zip([5, 1, 2, 3], array(model.encode_candidate(catalogue)), strict=True))
    pooled = [np.mean([vectors[2], vectors[5]], axis=0), np.mean([vectors[3], vectors[2]], axis=0), np.zeros(3)]
    others = array(model.others(FEATURES))
    network = array(model.network(np.concatenate([np.array(pooled, np.float32), others], axis=1)))
    expected = network / np.linalg.norm(network, axis=1, keepdims=True) / 0.5
    np.testing.assert_allclose(model.encode_query(FEATURES), expected, rtol=1e-4, atol=1e-5)
    model.finish()
    np.testing.assert_allclose(model.encode_query(FEATURES), expected, rtol=1e-4, atol=1e-5)


def test_convolutions_against_a_loop() -> None:
    x = normal(2, 4, 3)
    layer = SequenceConvolution(heights=[1, 3, 9], num_horizontal=2, num_vertical=2)
    layer(x)
    randomized(layer)
    assert len(layer.horizontal) == 2  # a height of 9 does not fit
    expected = []
    for row in x:
        values = []
        for convolution, height in zip(layer.horizontal, (1, 3), strict=True):
            kernel, bias = array(convolution.kernel), array(convolution.bias)
            windows = [
                [max(float((row[t : t + height] * kernel[:, :, f]).sum() + bias[f]), 0.0) for f in range(2)]
                for t in range(5 - height)
            ]
            values += np.max(windows, axis=0).tolist()
        values += (array(layer.vertical).T @ row).ravel().tolist()
        expected.append(values)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((2, 4, 3)) == layer(x).shape


def test_the_tower_of_caser_reads_the_newest_items_and_the_user() -> None:
    tower = ConvolutionTower(HISTORY, USER, 3, 2, [1, 2], 2, 1, dropout=0.0)
    tower(FEATURES)
    randomized(tower)
    newest = FEATURES["history"][:, -2:]
    vectors = np.where(newest[..., None] > 0, array(tower.last_items.embeddings.table)[newest], 0.0)
    recent = np.maximum(dense(tower.dense, array(tower.convolution(vectors.astype(np.float32)))), 0)
    expected = np.concatenate([recent, known(tower.user.embeddings.table, FEATURES["user_id"])], axis=1)
    np.testing.assert_allclose(tower(FEATURES), expected, rtol=1e-5, atol=1e-6)


def test_time_attention_against_a_loop() -> None:
    x, mask = normal(2, 3, 4), np.array([[0, 1, 1], [1, 1, 1]], bool)
    layer = TimeAttention()
    layer(x, mask)
    randomized(layer)
    expected = np.zeros((2, 4))
    for row in range(2):
        present = [t for t in range(3) if mask[row, t]]
        ages = {t: 2 - t for t in present}  # the newest is 0 steps old
        time = {
            t: np.array([np.sin(ages[t]), np.sin(ages[t] / 100), np.cos(ages[t]), np.cos(ages[t] / 100)])
            for t in present
        }
        query, key = (
            {t: np.maximum((x[row, t] + time[t]) @ array(kernel), 0) for t in present}
            for kernel in (layer.query_kernel, layer.key_kernel)
        )
        for t in present:
            weights = np.exp([query[t] @ key[s] / 2 for s in present])
            attended = sum(w * x[row, s] for w, s in zip(weights / weights.sum(), present, strict=True))
            expected[row] += attended / len(present)
    np.testing.assert_allclose(layer(x, mask), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer(x, np.zeros((2, 3), bool)), np.zeros((2, 4)))


@pytest.mark.parametrize("metric", ["dist", "inner"])
def test_attrec_weighs_long_against_short(metric: Metric) -> None:
    model = LongAndShortModel(HISTORY, USER, ITEM, 3, max_length=2, long_weight=0.3, metric=metric)
    model(FEATURES)
    randomized(model)
    long_user = known(model.users.embeddings.table, FEATURES["user_id"])
    long_item = known(model.items.embeddings.table, FEATURES["item_id"])
    short_user = array(model.attention(*model.last_items(FEATURES)))
    short_item = array(model.last_items.embeddings.table)[FEATURES["item_id"]]
    if metric == "dist":
        expected = -0.3 * distances(long_user, long_item) - 0.7 * distances(short_user, short_item)
    else:
        expected = 0.3 * long_user @ long_item.T + 0.7 * short_user @ short_item.T
    found = model.score(model.encode_query(FEATURES), model.encode_candidate(FEATURES))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_recurrent_states_do_not_depend_on_padding() -> None:
    model = RecurrentModel(HISTORY, ITEM, 3, (5,), dropout=0.0)
    model(FEATURES)
    randomized(model)
    padded = array(model.encode_positions({"history": np.array([[0, 0, 2, 5]])}))[0]
    plain = array(model.encode_positions({"history": np.array([[2, 5]])}))[0]
    np.testing.assert_allclose(padded[2:], plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(padded[:2], [[0, 0, 0, 1], [0, 0, 0, 1]])
    assert not np.allclose(plain[0], plain[1])


def test_serving_asks_for_the_newest_time() -> None:
    layer = NewestWhenServing(DenseTower([AGE], 2, [], output_units=1), "age")
    layer(FEATURES)
    layer.layer.stack.projection.set_weights([np.array([[10.0]]), np.array([1.0])])
    np.testing.assert_allclose(layer(FEATURES)[:, 0], [1.0, 1.0, 1.0])
    np.testing.assert_allclose(layer(FEATURES, training=True)[:, 0], [6.0, -9.0, 21.0])
    layer({"age": np.array([-3.0], np.float32)}, training=True)
    np.testing.assert_allclose(layer(FEATURES)[:, 0], [21.0, 21.0, 21.0])


def test_a_rating_from_the_history() -> None:
    model = TowersRatingModel(WithOne(HistoryVector(HISTORY, 3, "sqrtn")), IdVector(ITEM, 4), l2=0.5)
    model(FEATURES)
    randomized(model)
    model.mean_rating.assign(3.5)
    past, item = array(model.query.layer.embeddings.table), array(model.candidate.embeddings.table)
    # Id 1 is unknown: two items in the first history, four in the second, none in the last.
    users = np.stack([(past[2] + past[5]) / 2**0.5, (past[3] + past[4] + past[6] + past[2]) / 2, np.zeros(3)])
    expected = 3.5 + (users * item[[3, 6, 2], :3]).sum(axis=1) + item[[3, 6, 2], 3]
    np.testing.assert_allclose(model(FEATURES), expected, rtol=1e-5, atol=1e-6)


def test_dense_layers_on_each_side_and_on_both() -> None:
    query = DenseTower([AGE, HISTORY], 3, [4], output_units=2, list_pooling="sum")
    candidate = DenseTower([ITEM], 3, [4], output_units=2)
    joint = DenseTower([ITEM], 3, [5], output_units=1).stack
    model = TowersRatingModel(query, candidate, joint)
    model(FEATURES)
    randomized(model)
    model.mean_rating.assign(3.5)

    def mlp(stack: Any, x: np.ndarray) -> np.ndarray:
        for layer in stack.hidden:
            x = np.maximum(dense(layer, x), 0)
        return dense(stack.projection, x)

    tokens = {tower: array(tower.vectors.tables["item_id"].table) for tower in (query, candidate)}
    present = (FEATURES["history"] != 0)[..., None]
    pooled = (tokens[query][FEATURES["history"]] * present).sum(axis=1)
    q = mlp(query.stack, np.concatenate([FEATURES["age"][:, None], pooled], axis=1))
    c = mlp(candidate.stack, tokens[candidate][FEATURES["item_id"]])
    expected = 3.5 + mlp(joint, np.concatenate([q, c], axis=1))[:, 0]
    np.testing.assert_allclose(model(FEATURES), expected, rtol=1e-4, atol=1e-5)


def test_auto_is_the_loss_of_the_paper() -> None:
    assert parse_params({"name": "bpr"}).auto_loss() == "bpr"
    assert parse_params({"name": "bpr", "metric": "dist"}).auto_loss() == "hinge"
    assert parse_params({"name": "two_tower"}).auto_loss() is None


@pytest.mark.parametrize(
    ("params", "left_out", "message"),
    [
        ({"name": "bpr"}, "user_id", "column 'user_id' with `tower: query`"),
        ({"name": "mf_history"}, "item_id", "column 'item_id' with `tower: candidate`"),
        ({"name": "sasrec"}, "history", "kind 'sequence'.*Retrieval models that fit: bpr, .*two_tower"),
        ({"name": "youtube_dnn", "example_age": "year"}, "", r"one of \['age'\]\. Received: 'year'"),
    ],
)
def test_features_that_do_not_fit_are_refused(params: dict[str, Any], left_out: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_params(params).check_features([record for record in RECORDS if record.name != left_out])


def test_a_tower_without_a_feature_is_refused() -> None:
    records = [record for record in RECORDS if record.tower == "candidate"]
    with pytest.raises(ValueError, match="needs a feature with `tower: query`"):
        parse_params({"name": "linear_rs"}).check_features(records)
