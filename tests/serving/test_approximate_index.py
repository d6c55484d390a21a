from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from serving.approximate_index import ApproximateIndex

NUM_ITEMS, DIM = 4000, 16


@pytest.fixture(scope="module")
def clustered() -> tuple[np.ndarray, np.ndarray]:
    """Items of 50 tastes, and queries near them."""
    generator = np.random.default_rng(3)
    tastes = generator.normal(size=(50, DIM))
    items = tastes[generator.integers(0, 50, NUM_ITEMS)] + 0.3 * generator.normal(size=(NUM_ITEMS, DIM))
    queries = tastes[generator.integers(0, 50, 120)] + 0.3 * generator.normal(size=(120, DIM))
    return items.astype(np.float32), queries.astype(np.float32)


@pytest.fixture(scope="module")
def index(clustered: tuple[np.ndarray, np.ndarray]) -> ApproximateIndex:
    items, queries = clustered
    return ApproximateIndex(tf.Variable(items), queries[:60], min_recall=0.9)


def nothing_seen(num_rows: int) -> tf.RaggedTensor:
    return tf.ragged.constant([[] for _ in range(num_rows)], dtype=tf.int64, ragged_rank=1)


def test_queries_that_it_was_not_tuned_by_find_what_was_asked_for(
    index: ApproximateIndex, clustered: tuple[np.ndarray, np.ndarray]
) -> None:
    items, queries = clustered[0], clustered[1][60:]
    assert 1 <= index.num_probed < 63  # of 63 lists
    found = index.search(tf.constant(queries), nothing_seen(60), tf.constant(10))[0].numpy()
    exact = np.argsort(-(queries @ items.T), axis=1, kind="stable")[:, :10]
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shares) >= 0.9
    np.testing.assert_allclose(index.recall(tf.constant(queries)).numpy(), shares, atol=1e-6)


def test_scores_are_inner_products_best_first_without_what_was_seen(
    index: ApproximateIndex, clustered: tuple[np.ndarray, np.ndarray]
) -> None:
    items, queries = clustered[0], clustered[1][:3]
    first = index.search(tf.constant(queries), nothing_seen(3), tf.constant(10))[0].numpy()
    seen = tf.ragged.constant([first[0, :4].tolist(), [], [NUM_ITEMS, first[2, 9]]], dtype=tf.int64)
    found, scores = (values.numpy() for values in index.search(tf.constant(queries), seen, tf.constant(6)))
    assert found.tolist() == [first[0, 4:10].tolist(), first[1, :6].tolist(), first[2, :6].tolist()]
    for row in range(3):
        np.testing.assert_allclose(scores[row], items[found[row]] @ queries[row], rtol=1e-5)


def test_more_than_the_lists_hold_ends_in_no_item_and_no_row_in_nothing(
    index: ApproximateIndex, clustered: tuple[np.ndarray, np.ndarray]
) -> None:
    found, scores = index.search(tf.constant(clustered[1][:1]), nothing_seen(1), tf.constant(NUM_ITEMS))
    assert found.shape == (1, NUM_ITEMS)
    assert (found.numpy()[0, -1], scores.numpy()[0, -1]) == (NUM_ITEMS, -np.inf)
    assert len(set(found.numpy()[0].tolist())) == (found.numpy()[0] < NUM_ITEMS).sum() + 1
    nobody = index.search(tf.zeros([0, DIM]), nothing_seen(0), tf.constant(10))
    assert nobody[0].shape == (0, 10)


def test_of_equal_scores_the_earlier_item_comes_first() -> None:
    vectors = np.tile(np.eye(2, dtype=np.float32), (5, 1))  # items 0, 2, 4, ... are one
    index = ApproximateIndex(tf.Variable(vectors), np.ones((1, 2), np.float32), min_recall=1.0)
    found = index.search(tf.constant([[2.0, 1.0]]), nothing_seen(1), tf.constant(7))[0].numpy()[0]
    assert found.tolist()[:5] == [0, 2, 4, 6, 8]
