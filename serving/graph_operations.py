"""Small operations of the served graph.

Of one request's time most goes into the number of operations, not into their work. TensorFlow's own of these check what
is known here, with several times as many.
"""

from __future__ import annotations

import tensorflow as tf


def gathered(variable: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
    """Return rows of a variable that is also read whole elsewhere.

    TensorFlow copies a variable at each read as a whole once its rows were gathered from the variable itself.

    Example:
      >>> gathered(tf.Variable([1.0, 2.0, 3.0]), tf.constant([2, 0])).numpy().tolist()
      [3.0, 1.0]
    """
    return tf.gather(variable.read_value(), rows)


def row_ids(values: tf.RaggedTensor) -> tf.Tensor:
    """Return the row of each flat value, int64, as `value_rowids()` does.

    Example:
      >>> row_ids(tf.ragged.constant([[5, 6], [], [7]])).numpy().tolist()
      [0, 0, 2]
    """
    ends = values.row_splits[tf.newaxis, 1:]
    places = tf.range(tf.size(values.flat_values, ends.dtype))[tf.newaxis]
    return tf.raw_ops.UpperBound(sorted_inputs=ends, values=places, out_type=tf.int64)[0]


def up_to(num_rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return string rows followed by empty ones, `num_rows` in all.

    Example:
      >>> up_to(tf.constant(2), tf.constant([["a"]])).numpy().tolist()
      [[b'a'], [b'']]
    """
    missing = tf.maximum(num_rows - tf.shape(values)[0], 0)
    padded = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1), constant_values="")
    return padded[:num_rows]


def without_empty(ids: tf.Tensor) -> tf.RaggedTensor:
    """Return the ids of each row that are not empty, string, ragged `(batch_size, None)`.

    Example:
      >>> without_empty(tf.constant([["a", ""], ["", ""]])).to_list()
      [[b'a'], []]
    """
    return kept(ids, ids != b"")


def rows_or_nothing(keep: tf.Tensor, values: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return the rows where `keep`, bool `(batch_size,)`, is True, and empty ones elsewhere.

    Example:
      >>> rows_or_nothing(tf.constant([False, True]), tf.ragged.constant([[1, 2], [3]])).to_list()
      [[], [3]]
    """
    return only(values, tf.gather(keep, row_ids(values)))


def kept(values: tf.Tensor, keep: tf.Tensor) -> tf.RaggedTensor:
    """Return of each row of a matrix the values to keep."""
    lengths = tf.reduce_sum(tf.cast(keep, tf.int64), axis=1)
    return tf.RaggedTensor.from_row_lengths(tf.gather_nd(values, tf.where(keep)), lengths, validate=False)


def only(values: tf.RaggedTensor, keep: tf.Tensor) -> tf.RaggedTensor:
    """Return of each row the values to keep; `keep` is as long as the flat values."""
    places = tf.where(keep)[:, 0]
    rows = tf.gather(row_ids(values), places)
    flat = tf.gather(values.flat_values, places)
    return tf.RaggedTensor.from_value_rowids(flat, rows, nrows=values.nrows(), validate=False)
