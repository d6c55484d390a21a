"""Per batch: raw columns, however Transform hands them over, as ragged rows and from there as dense values."""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

RawTensor: TypeAlias = tf.Tensor | tf.SparseTensor | tf.RaggedTensor


def as_ragged(column: RawTensor) -> tf.RaggedTensor:
    """Return a raw column as rows of values.

    Args:
      column: sparse or ragged `(batch_size, None)`, or dense `(batch_size,)` or `(batch_size, num_values)`.

    Returns:
      Ragged `(batch_size, None)` of the same dtype.

    Example:
      >>> as_ragged(tf.sparse.from_dense([["b", ""], ["", ""], ["a", "c"]])).to_list()
      [[b'b'], [], [b'a', b'c']]
      >>> as_ragged(tf.constant([7, 8])).to_list()
      [[7], [8]]
    """
    if isinstance(column, tf.RaggedTensor):
        return column
    if isinstance(column, tf.SparseTensor):
        # Not from_sparse: its checks, a third of this graph, hold for every parsed example.
        return tf.RaggedTensor.from_value_rowids(
            column.values, column.indices[:, 0], nrows=column.dense_shape[0], validate=False
        )
    if column.shape.rank == 1:
        column = column[:, tf.newaxis]
    return tf.RaggedTensor.from_tensor(column)


def as_strings(rows: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return integers as their decimal texts; strings as they are."""
    return rows if rows.dtype == tf.string else rows.with_flat_values(tf.strings.as_string(rows.flat_values))


def first(rows: tf.RaggedTensor, default: float | str) -> tf.Tensor:
    """Return each row's first value, or `default` where the row is empty.

    Args:
      rows: ragged `(batch_size, None)`.
      default: stands for an absent value; of the dtype of `rows`.

    Returns:
      Dense `(batch_size,)`.

    Example:
      >>> first(tf.ragged.constant([[1.0, 2.0], [], [3.0]]), default=-1.0).numpy().tolist()
      [1.0, -1.0, 3.0]
    """
    return _pick(rows.flat_values, rows.row_starts(), rows.row_lengths() > 0, default)


def leading(rows: tf.RaggedTensor, length: int) -> tf.Tensor:
    """Return the first `length` ids of each row, padded with 0 behind.

    Args:
      rows: ragged int64 `(batch_size, None)`.
      length: ids kept a row.

    Returns:
      int64 `(batch_size, length)`.

    Example:
      >>> leading(tf.ragged.constant([[1, 2, 3], [], [4]], dtype=tf.int64), 2).numpy().tolist()
      [[1, 2], [0, 0], [4, 0]]
    """
    position = rows.row_starts()[:, tf.newaxis] + tf.range(length, dtype=rows.row_splits.dtype)  # (batch_size, length)
    return _pick(rows.flat_values, position, position < rows.row_limits()[:, tf.newaxis], 0)


def newest(rows: tf.RaggedTensor, length: int) -> tf.Tensor:
    """Return the last `length` ids of each row, the newest last, padded with 0 in front.

    Args:
      rows: ragged int64 `(batch_size, None)`, oldest first.
      length: ids kept a row.

    Returns:
      int64 `(batch_size, length)`.

    Example:
      >>> newest(tf.ragged.constant([[1, 2, 3], [], [4]], dtype=tf.int64), 2).numpy().tolist()
      [[2, 3], [0, 0], [0, 4]]
    """
    position = rows.row_limits()[:, tf.newaxis] + tf.range(-length, 0, dtype=rows.row_splits.dtype)
    return _pick(rows.flat_values, position, position >= rows.row_starts()[:, tf.newaxis], 0)


def _pick(values: tf.Tensor, position: tf.Tensor, present: tf.Tensor, default: float | str) -> tf.Tensor:
    """Return `values[position]` where present; `default` is put in front, so that a batch may hold no value at all."""
    table = tf.concat([tf.constant([default], dtype=values.dtype), values], axis=0)
    return tf.gather(table, tf.where(present, position + 1, tf.zeros_like(position)))
