"""Hashed records: tokens, alone or crossed, to ids without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from settings.features import HashedFeature
from transforms import learnt
from transforms.raw_columns import as_strings, first

# Between crossed tokens, so that ("a", "bc") and ("ab", "c") differ.
_SEPARATOR = "\x1f"


def transform(
    records: Sequence[HashedFeature], columns: dict[str, tuple[tf.RaggedTensor, ...]]
) -> dict[str, tf.Tensor]:
    """Return the hashed features, and count on train which tokens share an id.

        id = 0                                where a token is missing
        id = 1 + hash(tokens) mod num_buckets

    Args:
      records: what becomes of which columns.
      columns: raw integers or strings by record name, one for each of its sources, ragged `(batch_size, None)`; the
        first value of a row counts.

    Returns:
      By record name, int64 `(batch_size,)` in `0..num_buckets`.
    """
    tokens = {record.name: _crossed(columns[record.name]) for record in records}
    ids = {}
    for record in records:
        token = tokens[record.name]
        bucket = 1 + tf.strings.to_hash_bucket_fast(token, record.num_buckets)
        ids[record.name] = tf.where(token == "", tf.zeros_like(bucket), bucket)
    learnt.collisions(tokens, ids)
    return ids


def _crossed(parts: Sequence[tf.RaggedTensor]) -> tf.Tensor:
    """Return each row's tokens as one, empty where any is missing."""
    tokens = [first(as_strings(part), "") for part in parts]
    whole = tf.reduce_all(tf.stack([token != "" for token in tokens]), axis=0)
    crossed = tf.strings.join(tokens, separator=_SEPARATOR)
    return tf.where(whole, crossed, tf.zeros_like(crossed))
