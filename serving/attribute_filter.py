"""Candidates narrowed to those with given attributes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from models.example_parser import lookup_table
from models.training_data import SEPARATOR
from serving.graph_operations import row_ids, without_empty


class AttributeFilter(tf.Module):
    """Tells which items have all attributes that a request asks for, `column=value` each.

    Args:
      attributes: by raw column, bytes `(num_items,)`: an item's values, `SEPARATOR` between them.
      num_items: size of the catalogue.
    """

    def __init__(self, attributes: Mapping[str, np.ndarray], num_items: int) -> None:
        super().__init__()
        members: dict[bytes, list[int]] = {}
        for column in sorted(attributes):
            for item, values in enumerate(attributes[column].tolist()):
                for value in sorted(set(values.split(SEPARATOR.encode())) - {b""}):
                    members.setdefault(column.encode() + b"=" + value, []).append(item)
        self.num_items = num_items
        self._attributes = lookup_table(list(members))
        # One more attribute: the unknown one, which no item has.
        lengths = [len(items) for items in members.values()]
        self._starts = tf.Variable(np.cumsum([0, *lengths, 0]), trainable=False, name="attribute_starts")
        items = [item for items in members.values() for item in items]
        self._items = tf.Variable(np.array(items, np.int32), trainable=False, name="attribute_items")

    def without_others(self, scores: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        """Return the scores, minus infinity where an item lacks an attribute.

        Args:
          scores: float32 `(batch_size, num_items)`.
          wanted: string `(batch_size, num_wanted)`; empty ones are passed over.
        """
        return tf.cond(tf.reduce_any(wanted != b""), lambda: self._narrowed(scores, wanted), lambda: scores)

    def _narrowed(self, scores: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        asked = without_empty(wanted)
        attribute = self._attributes.lookup(asked.flat_values)
        starts, ends = tf.gather(self._starts, attribute), tf.gather(self._starts, attribute + 1)
        places = tf.ragged.range(starts, ends)
        rows = tf.gather(row_ids(asked), row_ids(places))
        items = tf.cast(tf.gather(self._items, places.flat_values), tf.int64)
        found = tf.scatter_nd(tf.stack([rows, items], axis=1), tf.ones_like(items), tf.shape(scores, tf.int64))
        has_all = found == asked.row_lengths()[:, tf.newaxis]
        return tf.where(has_all, scores, tf.fill(tf.shape(scores), float("-inf")))
