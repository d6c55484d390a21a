"""The formulas of the ranking models against NumPy loops."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from keras import ops
from keras.layers import BatchNormalization

from models.archetypes.shared_projection import SharedProjectionModel
from models.feature_space import FeatureSpace, Field
from models.layers.behaviour_transformer import BehaviourTransformer
from models.layers.bi_interaction import BiInteraction
from models.layers.compressed_interaction import CompressedInteraction
from models.layers.cross_network import CrossNetwork
from models.layers.crossed_terms import CrossedTerms
from models.layers.dense_stack import DenseStack
from models.layers.dense_tower import DenseTower
from models.layers.field_aware import FieldAwareInteraction
from models.layers.id_vector import IdVector
from models.layers.pair_pooling import PairPooling
from models.layers.product_signals import ProductSignals
from models.layers.residual_units import ResidualUnits
from models.layers.transformer_block import TransformerBlock
from models.registry import parse_params
from tests.models.test_collaborative_models import array, dense, normal, randomized
from tests.models.toy_data import RECORDS

PAIRS = list(combinations(range(4), 2))
VECTORS = normal(3, 4, 5)


def test_bi_interaction_is_the_sum_over_pairs() -> None:
    expected = sum(VECTORS[:, i] * VECTORS[:, j] for i, j in PAIRS)
    np.testing.assert_allclose(BiInteraction()(VECTORS), expected, rtol=1e-4, atol=1e-5)


def test_after_a_short_training_nfm_serves_with_the_statistics_it_trained_with() -> None:
    fields = tuple(Field(name, "categorical", "query", name, 50) for name in "abc")
    model = parse_params({"name": "nfm", "dropout": 0.0}).build(FeatureSpace(fields, None, num_items=1))
    batch = {name: np.random.default_rng(0).integers(0, 50, 512) for name in "abc"}
    for _ in range(60):
        model(batch, training=True)
    [normalization] = [layer for layer in model._flatten_layers() if isinstance(layer, BatchNormalization)]
    # It starts at 1; the products of small vectors vary by much less. Keras' momentum of .99 would leave .55 of it.
    assert array(normalization.moving_variance).max() < 0.01


def test_field_aware_pairs_take_the_vector_for_each_other() -> None:
    vectors = normal(2, 4, 4 * 3)
    part = vectors.reshape(2, 4, 4, 3)
    expected = sum((part[:, i, j] * part[:, j, i]).sum(axis=1, keepdims=True) for i, j in PAIRS)
    np.testing.assert_allclose(FieldAwareInteraction()(vectors), expected, rtol=1e-4, atol=1e-5)


def test_field_aware_vectors_without_a_part_a_field_are_refused() -> None:
    with pytest.raises(ValueError, match="4 fields and vectors of length 5"):
        FieldAwareInteraction()(VECTORS)


def test_inner_products_are_those_of_all_pairs_in_any_fixed_order() -> None:
    found = array(ProductSignals("inner")(VECTORS))
    np.testing.assert_allclose(found[:, :20], VECTORS.reshape(3, 20))
    expected = np.stack([(VECTORS[:, i] * VECTORS[:, j]).sum(axis=1) for i, j in PAIRS], axis=1)
    np.testing.assert_allclose(np.sort(found[:, 20:]), np.sort(expected), rtol=1e-4, atol=1e-5)
    assert ProductSignals("inner").compute_output_shape((3, 4, 5)) == found.shape


def test_outer_products_of_all_pairs_are_summed_and_divided_by_the_number_of_fields() -> None:
    found = array(ProductSignals("outer")(VECTORS))
    expected = [sum(np.outer(a, b) for a in row for b in row).ravel() / len(row) for row in VECTORS]
    np.testing.assert_allclose(found[:, 20:], expected, rtol=1e-4, atol=1e-4)
    assert ProductSignals("outer").compute_output_shape((3, 4, 5)) == found.shape


@pytest.mark.parametrize("mode", ["att", "avg", "max"])
def test_pair_pooling_against_a_loop(mode: Any) -> None:
    layer = PairPooling(mode, attention_units=2, dropout=0.5)
    layer(VECTORS)
    randomized(layer)
    expected = []
    for row in VECTORS:
        products = np.array([row[i] * row[j] for i, j in PAIRS])
        if mode == "att":
            logits = [dense(layer.weigh, np.maximum(dense(layer.attention, p), 0))[0] for p in products]
            weights = np.exp(logits) / np.exp(logits).sum()
            expected.append(weights @ products)
        else:
            expected.append(products.mean(axis=0) if mode == "avg" else products.max(axis=0))
    np.testing.assert_allclose(layer(VECTORS), expected, rtol=1e-4, atol=1e-5)


def test_the_compressed_interaction_network_against_loops() -> None:
    layer = CompressedInteraction([3, 2])
    layer(VECTORS)
    randomized(layer)
    expected = []
    for x0 in VECTORS:
        below, pooled = x0, []
        for filters, maps in zip(layer.filters, layer.num_maps, strict=True):
            weights = array(filters).reshape(len(below), len(x0), maps)
            below = np.array(
                [
                    sum(weights[h, m, n] * below[h] * x0[m] for h in range(len(below)) for m in range(len(x0)))
                    for n in range(maps)
                ]
            )
            pooled += below.sum(axis=1).tolist()
        expected.append(pooled)
    np.testing.assert_allclose(layer(VECTORS), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("version", "rank"), [("v1", None), ("v2", None), ("v2", 2)])
def test_crosses_against_numpy(version: Any, rank: int | None) -> None:
    layer = CrossNetwork(2, version, rank)
    x0 = normal(3, 4)
    layer(x0)
    randomized(layer)
    expected = x0
    for number in range(2):
        if version == "v1":
            w, b = array(layer.kernels[number]), array(layer.biases[number])
            expected = x0 * (expected @ w) + b + expected
        else:
            cross = layer.crosses[number]
            below = expected if rank is None else expected @ array(cross.down_proj_dense.kernel)
            expected = x0 * dense(cross.dense, below) + expected
    np.testing.assert_allclose(layer(x0), expected, rtol=1e-4, atol=1e-5)
    assert (rank is None) or layer.crosses[0].down_proj_dense.kernel.shape == (4, 2)


def test_residual_units_against_numpy() -> None:
    layer = ResidualUnits([3, 2])
    expected = x = normal(2, 4)
    layer(x)
    randomized(layer)
    for inner, outer in zip(layer.inner, layer.outer, strict=True):
        expected = np.maximum(expected + dense(outer, np.maximum(dense(inner, expected), 0)), 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_every_pair_of_tokens_has_a_weight_and_hashed_ones_share() -> None:
    a, b = (Field(name, "categorical", "query", name, vocabulary_size=size) for name, size in (("a", 3), ("b", 4)))
    layer = CrossedTerms([(a, b)], num_buckets=100)
    features = {"a": np.repeat(np.arange(3), 4), "b": np.tile(np.arange(4), 3)}
    layer(features)
    assert layer.tables[0].vocabulary_size == 12
    layer.tables[0].table.assign(np.arange(12.0)[:, None])
    assert array(layer(features))[:, 0].tolist() == list(range(12))
    hashed = CrossedTerms([(a, b), (a, b)], num_buckets=5)
    hashed(features)
    hashed.tables[0].table.assign(np.arange(5.0)[:, None])
    assert array(hashed(features))[:, 0].tolist() == [i % 5 for i in range(12)]


def layer_norm(layer: Any, x: np.ndarray) -> np.ndarray:
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return scaled * array(layer.gamma) + array(layer.beta)


def block_of_numpy(layer: TransformerBlock, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The block, one row, one head and one position at a time."""
    parts = {}
    for name in ("query", "key", "value"):
        projection = getattr(layer.attention, f"{name}_dense")
        parts[name] = np.einsum("btd,dhk->bthk", x, array(projection.kernel)) + array(projection.bias)
    out = layer.attention.output_dense
    attended = np.zeros_like(x) + array(out.bias)
    for row in range(len(x)):
        seen = np.flatnonzero(mask[row])
        for head in range(layer.num_heads):
            for t in range(x.shape[1]):
                logits = parts["key"][row, seen, head] @ parts["query"][row, t, head]
                weights = np.exp(logits / parts["query"].shape[-1] ** 0.5)
                weights /= weights.sum()
                attended[row, t] += weights @ parts["value"][row, seen, head] @ array(out.kernel)[head]
    y = layer_norm(layer.attention_norm, x + attended)
    hidden = dense(layer.inner, y)
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    return layer_norm(layer.feed_forward_norm, y + dense(layer.outer, hidden)) * mask[..., None]


def test_the_transformer_block_against_a_loop() -> None:
    x, mask = normal(2, 3, 4), np.array([[0, 1, 1], [1, 1, 1]], bool)
    layer = TransformerBlock(num_heads=2, dropout=0.5)
    layer(x, mask)
    randomized(layer)
    np.testing.assert_allclose(layer(x, mask), block_of_numpy(layer, x, mask), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("with_gaps", [False, True])
def test_the_target_is_read_with_the_last_items_at_their_positions(with_gaps: bool) -> None:
    item = Field("item_id", "categorical", "candidate", "item_id", 7, num_oov=1)
    history = Field("history", "sequence", "query", "item_id", 7, length=4, num_oov=1)
    gaps = Field("gaps", "sequence", "query", "gaps", 9, length=4, num_oov=1) if with_gaps else None
    age = Field("age", "numeric", "query")
    features = {
        "item_id": np.array([3, 6]),
        "history": np.array([[2, 5, 1, 5], [0, 0, 0, 4]]),
        "gaps": np.array([[8, 7, 3, 2], [0, 0, 0, 5]]),
        "age": np.array([0.5, -1.0], np.float32),
    }
    network = DenseStack([3], 1)
    layer = BehaviourTransformer(history, item, [age], 4, 3, 1, 2, network, gaps=gaps)
    layer(features)
    randomized(layer)
    ids = np.concatenate([features["history"][:, 1:], features["item_id"][:, None]], axis=1)
    mask = ids != 0
    places = np.array([[7, 3, 2, 0], [0, 0, 5, 0]]) if with_gaps else np.array([[3, 2, 1, 0]])
    x = (array(layer.tokens.table)[ids] + array(layer.positions.table)[places]) * mask[..., None]
    x = block_of_numpy(layer.blocks[0], x, mask).reshape(2, -1)
    aged = features["age"][:, None] * array(layer.others.numeric["age"])
    expected = array(network(np.concatenate([x, aged], axis=1).astype(np.float32)))
    np.testing.assert_allclose(layer(features), expected, rtol=1e-3, atol=1e-4)


def test_microxl_gives_the_numbers_of_its_document() -> None:
    """Ids are counted from 1 in the document; here 0 pads and 1 is out of vocabulary, so they begin at 2."""
    who = Field("who", "categorical", "query", "who", vocabulary_size=7, num_oov=1)
    what = Field("what", "categorical", "candidate", "what", vocabulary_size=9, num_oov=1)
    x, z = (
        [Field(f"{side}{i}", "numeric", tower) for i in range(3)]
        for side, tower in (("x", "query"), ("z", "candidate"))
    )  # type: ignore[arg-type]
    model = SharedProjectionModel(
        IdVector(who, 2), DenseTower(x, 2, [4]), IdVector(what, 2), DenseTower(z, 2, [4]), dim=4
    )
    features: dict[str, np.ndarray] = {"who": np.array([2, 4, 1]) + 1, "what": np.array([3, 7, 5]) + 1}
    of_who = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
    of_what = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1]], np.float32)
    features |= {f"x{i}": of_who[:, i] for i in range(3)} | {f"z{i}": of_what[:, i] for i in range(3)}
    model(features)
    e_c = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8], [0.9, 1.0]]
    e_p = [[0.1, 0.3], [0.2, 0.4], [0.3, 0.5], [0.4, 0.6], [0.5, 0.7], [0.6, 0.8], [0.7, 0.9]]
    model.query_id.embeddings.table.assign([[0, 0], [0, 0], *e_c])
    model.candidate_id.embeddings.table.assign([[0, 0], [0, 0], *e_p])
    w = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)
    for side in (model.query_metadata, model.candidate_metadata):
        side.stack.hidden[0].kernel.assign(w.T)
    w_f = np.array([[2, 2, 0, 0, 0, 0], [0, 0, 2, 2, 0, 0], [0, 0, 0, 0, 2, 2], [1, 1, 1, 1, 1, 1]], np.float32) / 4
    model.projection.kernel.assign(w_f.T)
    np.testing.assert_allclose(model(features), [11.45, 15.1875, 62.325], rtol=1e-6)
    np.testing.assert_allclose(ops.sigmoid(model(features)), [1, 1, 1], atol=2e-5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"name": "wide_deep", "crosses": [["user_id", "age"]]}, r"categorical features, of \['user_id', 'item_id'\]"),
        ({"name": "bst", "gaps": "age"}, r"one of \['history'\]\. Received: 'age'"),
    ],
)
def test_options_that_name_the_wrong_feature_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_params(params).check_features(RECORDS)


def test_microxl_refuses_a_side_without_metadata() -> None:
    records = [record for record in RECORDS if record.name not in ("history", "age")]
    with pytest.raises(ValueError, match="`tower: query` beside that of column 'user_id'"):
        parse_params({"name": "microxl"}).check_features(records)
