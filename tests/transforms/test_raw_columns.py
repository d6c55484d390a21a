from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from transforms.raw_columns import RawTensor, as_ragged, first, leading, newest

ROWS = [[5, 6, 7], [], [8]]


@pytest.mark.parametrize(
    "column",
    [
        tf.ragged.constant(ROWS, dtype=tf.int64),
        tf.sparse.from_dense(tf.constant([[5, 6, 7], [0, 0, 0], [8, 0, 0]], tf.int64)),
    ],
)
def test_ragged_and_sparse_columns_give_the_same_rows(column: RawTensor) -> None:
    assert as_ragged(column).to_list() == ROWS


def test_a_batch_without_any_value_gives_empty_rows_and_defaults() -> None:
    rows = as_ragged(tf.SparseTensor(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), [2, 0]))
    assert rows.to_list() == [[], []]
    assert first(rows, -1).numpy().tolist() == [-1, -1]
    assert newest(rows, 2).numpy().tolist() == leading(rows, 2).numpy().tolist() == [[0, 0], [0, 0]]


def test_dense_columns_hold_one_or_several_values_a_row() -> None:
    assert as_ragged(tf.constant([1.0, 2.0])).to_list() == [[1.0], [2.0]]
    assert as_ragged(tf.constant([[1, 2], [3, 4]])).to_list() == [[1, 2], [3, 4]]


def test_a_row_of_exactly_the_length_is_kept_whole() -> None:
    rows = tf.ragged.constant(ROWS, dtype=tf.int64)
    assert newest(rows, 3).numpy().tolist() == [[5, 6, 7], [0, 0, 0], [0, 0, 8]]
    assert leading(rows, 3).numpy().tolist() == [[5, 6, 7], [0, 0, 0], [8, 0, 0]]
    assert newest(rows, 4).numpy().tolist()[0] == [0, 5, 6, 7]
