from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from models.feature_space import Field
from models.layers.causal_attention import CausalAttentionBlock
from models.layers.dense_stack import DenseStack
from models.layers.factorization import FactorizationInteraction
from models.layers.field_vectors import FieldVectors
from models.layers.linear_terms import LinearTerms
from models.layers.pooling import MaskedPooling
from models.layers.token_embedding import TokenEmbedding
from models.layers.tower import Tower

GENERATOR = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


def test_ids_out_of_range_take_the_vector_of_the_first_oov_bucket() -> None:
    layer = TokenEmbedding(4, 3)
    layer(np.array([0]))
    table = ops.convert_to_numpy(layer.table)
    found = ops.convert_to_numpy(layer(np.array([[-1, 0], [3, 4], [2**40, 1]])))
    np.testing.assert_array_equal(found, table[np.array([[1, 0], [3, 1], [1, 1]])])


@pytest.mark.parametrize("mode", ["mean", "sum", "sqrtn", "recency"])
def test_pooling_against_a_loop(mode: str) -> None:
    vectors, mask = normal(3, 4, 2), np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    layer = MaskedPooling(mode)
    layer(vectors, mask)
    position_logits = np.zeros(4, np.float32)
    if mode == "recency":
        position_logits = normal(4)
        layer.position_logits.assign(position_logits)
    expected = np.zeros((3, 2))
    for row in range(3):
        present = np.flatnonzero(mask[row])
        if not len(present):
            continue
        weights = np.exp(position_logits[present]) if mode == "recency" else np.ones(len(present))
        total = sum(w * vectors[row, t] for w, t in zip(weights, present, strict=True))
        expected[row] = (
            total / {"sum": 1, "mean": len(present), "sqrtn": len(present) ** 0.5, "recency": weights.sum()}[mode]
        )
    np.testing.assert_allclose(layer(vectors, mask), expected, rtol=1e-5, atol=1e-6)


def test_factorization_term_is_the_sum_over_pairs() -> None:
    vectors = normal(5, 6, 3)
    pairs = [vectors[:, i] * vectors[:, j] for i in range(6) for j in range(i + 1, 6)]
    expected = np.sum(pairs, axis=(0, 2))[:, None]
    np.testing.assert_allclose(FactorizationInteraction()(vectors), expected, rtol=1e-4, atol=1e-5)


FIELDS = (
    Field("price", "numeric", "candidate"),
    Field("item", "categorical", "candidate", "item", 6, num_oov=1),
    Field("past", "sequence", "query", "item", 6, length=3, num_oov=1),
)
FEATURES = {
    "price": np.array([0.5, -2.0], np.float32),
    "item": np.array([2, 5]),
    "past": np.array([[0, 2, 4], [0, 0, 0]]),
}


def test_field_vectors_share_the_table_of_a_vocabulary() -> None:
    layer = FieldVectors(FIELDS, 4)
    found = ops.convert_to_numpy(layer(FEATURES))
    table = ops.convert_to_numpy(layer.tables["item"].table)
    price = ops.convert_to_numpy(layer.numeric["price"])
    np.testing.assert_allclose(found[:, 0], [0.5 * price, -2.0 * price], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], table[[2, 5]])
    np.testing.assert_allclose(found[:, 2], [(table[2] + table[4]) / 2, np.zeros(4)], rtol=1e-6)
    assert sum(len(table.weights) for table in layer.tables.values()) == 1


def test_linear_terms_against_hand_arithmetic() -> None:
    layer = LinearTerms(FIELDS)
    layer(FEATURES)
    layer.bias.assign([10.0])
    layer.weights_of_fields.numeric["price"].assign([3.0])
    layer.weights_of_fields.tables["item"].table.assign([[0], [0], [1], [0], [5], [7]])
    # 10 + 0.5*3 + 1 + (1+5)/2 and 10 - 2*3 + 7 + nothing
    np.testing.assert_allclose(layer(FEATURES), [[15.5], [11.0]])


def test_dense_stack_against_numpy() -> None:
    layer = DenseStack([4], output_units=2)
    x = normal(3, 5)
    found = layer(x)
    w1, b1, w2, b2 = (ops.convert_to_numpy(w) for w in layer.weights)
    np.testing.assert_allclose(found, np.maximum(x @ w1 + b1, 0) @ w2 + b2, rtol=1e-5, atol=1e-6)


def attention_of_numpy(layer: CausalAttentionBlock, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The block, one row, one head and one position at a time."""

    def norm(v: np.ndarray) -> np.ndarray:
        return (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + 1e-6)

    def dense(sublayer: keras.layers.Dense, v: np.ndarray) -> np.ndarray:
        kernel, bias = (ops.convert_to_numpy(w) for w in sublayer.weights)
        return v @ kernel + bias

    rows, length, dim = x.shape
    size = dim // layer.num_heads
    attended = np.zeros_like(x)
    for row in range(rows):
        query = dense(layer.project_query, norm(x[row]))
        key, value = np.split(dense(layer.project_key_value, x[row]), 2, axis=-1)
        for head in range(layer.num_heads):
            part = slice(head * size, (head + 1) * size)
            for t in range(length):
                visible = [s for s in range(t + 1) if mask[row, s]]
                if not visible:
                    continue
                logits = np.array([query[t, part] @ key[s, part] for s in visible]) / size**0.5
                weights = np.exp(logits - logits.max())
                weights /= weights.sum()
                attended[row, t, part] = sum(w * value[s, part] for w, s in zip(weights, visible, strict=True))
    y = norm(norm(x) + dense(layer.project_out, attended))
    z = y + dense(layer.outer, np.maximum(dense(layer.inner, y), 0))
    return z * mask[..., None]


def test_attention_block_against_a_loop() -> None:
    x = normal(2, 5, 6)
    mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], bool)
    layer = CausalAttentionBlock(num_heads=2, dropout=0.5)
    layer(x, mask)
    for weight in layer.weights:
        if "norm" not in weight.path:
            weight.assign(normal(*weight.shape) * 0.5)
    np.testing.assert_allclose(layer(x, mask), attention_of_numpy(layer, x, mask), rtol=1e-4, atol=1e-5)


def test_attention_refuses_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"num_heads=4, width=6"):
        CausalAttentionBlock(num_heads=4)(normal(1, 2, 6), np.ones((1, 2), bool))


def test_a_tower_is_the_sum_of_its_fields_plus_the_mlp() -> None:
    layer = Tower(FIELDS, 4, hidden_units=[3])
    found = layer(FEATURES)
    vectors = layer.vectors(FEATURES)
    expected = ops.sum(vectors, axis=1) + layer.stack(ops.reshape(vectors, (2, 12)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_tower_forgets_ids_in_training_only() -> None:
    layer = Tower(FIELDS[1:2], 4, forgotten=FIELDS[1], forgotten_share=1.0)
    known = {"item": np.array([2, 5])}
    table = layer(known) * 0 + ops.take(layer.vectors.tables["item"].table, 1, axis=0)
    np.testing.assert_allclose(layer(known, training=True), table)
    assert not np.allclose(layer(known, training=False), table)
