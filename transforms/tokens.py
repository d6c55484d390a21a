"""Categorical, multivalent, sequence and text records: tokens to ids, one lookup table a vocabulary.

    id 0                            padding or missing
    ids 1 .. num_oov_buckets        tokens outside the vocabulary, by hash
    ids num_oov_buckets + 1 ..      the vocabulary, most frequent first; one that grows: earlier tokens, then new ones

A record whose `vocabulary` is empty owns one: it alone is learnt from, and its `min_count`, `top_k`, `grow` and
`num_oov_buckets` hold for every record that shares it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf
import tensorflow_transform as tft

from settings.features import CategoricalFeature, MultivalentFeature, SequenceFeature, TextFeature, VocabularyFeature
from transforms import learnt
from transforms.raw_columns import as_strings, first, leading, newest

TokenFeature: TypeAlias = CategoricalFeature | MultivalentFeature | SequenceFeature | TextFeature

PADDING = 0


def transform(
    records: Sequence[TokenFeature], columns: dict[str, tf.RaggedTensor], earlier_graph: str = ""
) -> dict[str, tf.Tensor]:
    """Return the transformed token features.

    An empty token counts as missing. A constant that stands in for missing tokens is learnt like any other token.

    Args:
      records: what becomes of which column; each vocabulary's owner among them.
      columns: raw integers or strings by record name, ragged `(batch_size, None)`; the first value of a row counts
        for a categorical record.
      earlier_graph: folder of an earlier transform graph, from whose vocabularies those with `grow` go on; empty: none.

    Returns:
      By output name: categorical int64 `(batch_size,)`; multivalent and text int64
      `(batch_size, max_length)`, padded behind;
      sequence int64 `(batch_size, max_length)`, the newest tokens, the newest last, padded in front; and float32
      `<name>_missing` `(batch_size,)`, 1.0 where there was no token.
    """
    columns = {record.name: _read(record, columns[record.name]) for record in records}
    tokens = {record.name: _tokens(record, columns[record.name]) for record in records}
    owners = [record for record in records if record.vocabulary is None]
    paths = learnt.vocabularies(tokens, owners, earlier_graph)
    outputs: dict[str, tf.Tensor] = {}
    for owner in owners:
        # One lookup for all records of a vocabulary: the served graph then holds its table once.
        sharers = [record for record in records if record.vocabulary_name == owner.vocabulary_name]
        lines = [tokens[record.name] for record in sharers]
        ids = _look_up(tf.concat(lines, axis=0), paths[owner.vocabulary_name], owner)
        for record, part in zip(sharers, tf.split(ids, [tf.size(line) for line in lines]), strict=True):
            outputs |= _shaped(record, owner, columns[record.name], part)
    return outputs


def _read(record: TokenFeature, rows: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return a record's tokens row by row: of a text its words."""
    return _words(first(rows, "")) if isinstance(record, TextFeature) else as_strings(rows)


def _words(text: tf.Tensor) -> tf.RaggedTensor:
    """Return the runs of letters and digits of each text, in lower case, in their order.

    Example:
      >>> _words(tf.constant(["Don't Look, Now (1973)", ""])).to_list()
      [[b'don', b't', b'look', b'now', b'1973'], []]
    """
    lower = tf.strings.lower(text, encoding="utf-8")
    return tf.strings.split(tf.strings.regex_replace(lower, r"[^\pL\pN]+", " "))


def _tokens(record: TokenFeature, rows: tf.RaggedTensor) -> tf.Tensor:
    """Return a column's tokens in one line: one a row where categorical, empty where missing; else all of them."""
    if not isinstance(record, CategoricalFeature):
        return rows.flat_values
    token = first(rows, "")
    return tf.where(token == "", record.fill_value, token) if record.impute == "constant" else token


def _look_up(tokens: tf.Tensor, path: tf.Tensor, owner: VocabularyFeature) -> tf.Tensor:
    """Return the tokens' ids, int64 of the same shape."""
    # Transform's own look-up, without a lookup_fn: only that one fills its table once and not at every call.
    line = tft.apply_vocabulary(tokens, path, default_value=-1)
    unknown = 1 + tf.strings.to_hash_bucket_fast(tokens, owner.num_oov_buckets)
    ids = tf.where(line < 0, unknown, 1 + owner.num_oov_buckets + line)
    return tf.where(tokens == "", tf.zeros_like(ids), ids)


def _shaped(
    record: TokenFeature, owner: VocabularyFeature, rows: tf.RaggedTensor, ids: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Return a record's outputs from its tokens' ids in one line."""
    if isinstance(record, SequenceFeature):
        return {record.name: newest(rows.with_flat_values(ids), record.max_length)}
    if isinstance(record, MultivalentFeature | TextFeature):
        return {record.name: leading(rows.with_flat_values(ids), record.max_length)}
    if record.impute == "most_frequent":
        most_frequent = tf.constant(owner.num_oov_buckets + 1, tf.int64)
        ids = tf.where(ids == PADDING, most_frequent, ids)
    outputs = {record.name: ids}
    if record.missing_indicator:
        outputs[f"{record.name}_missing"] = tf.cast(first(rows, "") == "", tf.float32)
    return outputs
