from __future__ import annotations

import numpy as np
import tensorflow as tf

from serving.catalogue_ranking import best, in_blocks, rank_of, spread, without_seen

GENERATOR = np.random.default_rng(4)
NUM_ITEMS = 30
RANK = {"rank": tf.TensorSpec([None], tf.float32)}


def world(num_rows: int = 200) -> tuple[np.ndarray, list[list[int]], np.ndarray]:
    """Scores with many ties, seen items with repeats and strangers, and one item a row."""
    scores = GENERATOR.integers(0, 8, (num_rows, NUM_ITEMS)).astype(np.float32)
    seen = [GENERATOR.integers(0, NUM_ITEMS + 3, GENERATOR.integers(0, 12)).tolist() for _ in range(num_rows)]
    return scores, seen, GENERATOR.integers(0, NUM_ITEMS + 1, num_rows)


def order(scores: np.ndarray, seen: list[int], keep: int | None = None) -> list[int]:
    """Brute force: the items by falling score, then by position, without those seen."""
    left = [i for i in range(len(scores)) if i == keep or i not in seen]
    return sorted(left, key=lambda i: (-scores[i], i))


def ragged(rows: list[list[int]]) -> tf.RaggedTensor:
    return tf.ragged.constant(rows, dtype=tf.int64, ragged_rank=1)


def test_ranks_against_brute_force_with_ties() -> None:
    scores, seen, items = world()
    found = rank_of(tf.constant(items, tf.int64), tf.constant(scores), ragged(seen)).numpy()
    for row, item in enumerate(items):
        expected = NUM_ITEMS + 1 if item == NUM_ITEMS else 1 + order(scores[row], seen[row], item).index(item)
        assert found[row] == expected


def test_best_against_brute_force_and_in_agreement_with_ranks() -> None:
    scores, seen, _ = world(50)
    positions, values = (t.numpy() for t in best(tf.constant(scores), ragged(seen), tf.constant(NUM_ITEMS + 5)))
    for row in range(50):
        expected = order(scores[row], seen[row])
        rest = NUM_ITEMS + 5 - len(expected)
        assert positions[row].tolist() == expected + [NUM_ITEMS] * rest
        assert values[row].tolist() == [*scores[row][expected], *[-np.inf] * rest]
        ranks = rank_of(
            tf.constant(expected, tf.int64),
            tf.constant([scores[row]] * len(expected)),
            ragged([seen[row]] * len(expected)),
        )
        assert ranks.numpy().tolist() == list(range(1, len(expected) + 1))


def test_many_items_with_ties_are_found_block_after_block() -> None:
    scores = GENERATOR.integers(0, 40, (20, 2000)).astype(np.float32)
    scores[0], scores[1, 5:] = 1.0, -np.inf
    seen = [GENERATOR.integers(0, 2000, 300).tolist() for _ in range(20)]
    positions, values = (t.numpy() for t in best(tf.constant(scores), ragged(seen), tf.constant(3)))
    for row in range(20):
        expected = [item for item in order(scores[row], seen[row]) if scores[row, item] > -np.inf][:3]
        assert positions[row].tolist() == (expected + [2000] * 3)[:3]
        assert values[row].tolist() == ([*scores[row][expected]] + [-np.inf] * 3)[:3]


def test_numbers_that_are_none() -> None:
    scores = np.array([[3, np.nan, 1], [np.inf, 2, 1], [3, 2, -np.inf], [3, 2, 1]], np.float32)
    none_seen = ragged([[], [], [], []])
    assert rank_of(tf.constant([0, 1, 0, 1], tf.int64), tf.constant(scores), none_seen).numpy().tolist() == [4, 4, 4, 2]
    positions, values = best(tf.constant(scores), none_seen, tf.constant(3))
    assert positions.numpy().tolist() == [[0, 2, 3], [1, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert np.isneginf(values.numpy()[:3, 2]).all()
    assert spread(tf.constant(scores)).numpy().tolist() == [0, 0, 0, 2]


def test_nothing_is_left_when_all_was_seen() -> None:
    positions, values = best(tf.constant([[1.0, 2.0]]), ragged([[0, 1, 1]]), tf.constant(2))
    assert positions.numpy().tolist() == [[2, 2]]
    assert np.isneginf(values.numpy()).all()
    assert best(tf.constant([[1.0, 2.0]]), ragged([[]]), tf.constant(-3))[0].shape == (1, 0)


def test_seen_items_outside_the_catalogue_are_passed_over() -> None:
    np.testing.assert_array_equal(without_seen(tf.constant([[1.0, 2.0]]), ragged([[2, 2, 0]])), [[-np.inf, 2.0]])


def test_blocks_give_what_the_whole_gives() -> None:
    scores, seen, items = world(23)

    def ranks(start: tf.Tensor, end: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "rank": rank_of(
                tf.constant(items, tf.int64)[start:end], tf.constant(scores)[start:end], ragged(seen)[start:end]
            )
        }

    whole = ranks(tf.constant(0), tf.constant(23))["rank"].numpy()
    for size in (1, 7, 23, 100):
        blocks = tf.function(lambda n, size=size: in_blocks(ranks, RANK, n, tf.constant(size)))
        np.testing.assert_array_equal(blocks(tf.constant(23))["rank"], whole)
        assert blocks(tf.constant(0))["rank"].shape == (0,)
