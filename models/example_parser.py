"""Serialized tf.Examples to features: the same graph in training, evaluation and serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from models.feature_space import CATALOGUE_INDEX

if TYPE_CHECKING:
    from tensorflow_transform import TFTransformOutput


class ExampleParser(tf.Module):
    """Parses raw rows, applies the transform graph, and finds items in the catalogue.

    Every raw column is read as a list of any length, so that a row may lack any of them.

    Args:
      tft_output: what Transform learnt; its layer is kept here, so that its tables are saved with the model.
      catalogue: bytes, the item ids in catalogue order, each once.
    """

    def __init__(self, tft_output: TFTransformOutput, catalogue: Sequence[bytes]) -> None:
        super().__init__()
        self._transform = tft_output.transform_features_layer()
        self._spec = tft_output.raw_feature_spec()
        self.num_items = len(catalogue)
        self._positions = lookup_table(catalogue)

    def parse(self, serialized: tf.Tensor, **columns: tf.DType) -> dict[str, tf.SparseTensor]:
        """Return raw columns.

        Args:
          serialized: string `(batch_size,)`.
          **columns: columns to read beside those of Transform, by name, with their types.

        Returns:
          By name, sparse `(batch_size, None)`.
        """
        spec = {name: tf.io.VarLenFeature(feature.dtype) for name, feature in self._spec.items()}
        return tf.io.parse_example(serialized, spec | {n: tf.io.VarLenFeature(t) for n, t in columns.items()})

    def features(self, raw: dict[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        """Return the transformed features of parsed rows, by name."""
        return dict(self._transform({name: _as_in(feature, raw[name]) for name, feature in self._spec.items()}))

    def with_index(self, features: dict[str, tf.Tensor], item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the features and, under `CATALOGUE_INDEX`, the items' positions in the catalogue."""
        return features | {CATALOGUE_INDEX: self.positions(item_ids)}

    def positions(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Return items' positions in the catalogue, int64 of the ids' shape; `num_items` for those outside it."""
        return self._positions.lookup(item_ids)


def lookup_table(keys: Sequence[bytes]) -> tf.lookup.StaticHashTable:
    """Return a table from each key to its position, and from anything else to the number of keys."""
    # No id at all is anything else too; said so, because a table may not be empty.
    keys_and_none = tf.constant([*keys, b""], tf.string)
    initializer = tf.lookup.KeyValueTensorInitializer(keys_and_none, tf.range(len(keys) + 1, dtype=tf.int64))
    return tf.lookup.StaticHashTable(initializer, default_value=len(keys))


def scalar(column: tf.SparseTensor, default: float | str) -> tf.Tensor:
    """Return each row's first value, or `default` where the row has none.

    Example:
      >>> scalar(tf.sparse.from_dense([[0.0, 0.0], [5.0, 7.0]]), default=-1.0).numpy().tolist()
      [-1.0, 5.0]
    """
    num_rows = column.dense_shape[0]
    first = tf.sparse.slice(column, [0, 0], [num_rows, 1])
    # A new shape, because a batch without any value is 0 wide.
    return tf.sparse.to_dense(tf.SparseTensor(first.indices, first.values, [num_rows, 1]), default)[:, 0]


def _as_in(feature: object, column: tf.SparseTensor) -> tf.Tensor | tf.SparseTensor | tf.RaggedTensor:
    """Return a column in the form that the transform graph was traced with."""
    if isinstance(feature, tf.io.FixedLenFeature):
        default = "" if feature.dtype == tf.string else 0
        dense = scalar(column, default)
        return tf.reshape(dense, [-1, *feature.shape])
    if isinstance(feature, tf.io.RaggedFeature):
        return tf.RaggedTensor.from_sparse(column)
    return column
