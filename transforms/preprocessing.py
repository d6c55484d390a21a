"""The preprocessing function of the pipeline's Transform, generated from the feature records."""

from __future__ import annotations

import json
from typing import Any

import tensorflow as tf

from settings.errors import ConfigError
from settings.features import (
    CyclicFeature,
    Feature,
    FeatureList,
    HashedFeature,
    ImageFeature,
    NumericFeature,
    TextFeature,
    VectorFeature,
    VocabularyFeature,
)
from transforms import cyclic, hashed, numeric, tokens, vectors
from transforms.raw_columns import RawTensor, as_ragged


def preprocessing_fn(inputs: dict[str, RawTensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Return the transformed features of a batch; every parameter is learnt in one full pass over train.

    Args:
      inputs: raw columns by name, sparse, ragged or dense, `(batch_size, ...)`.
      custom_config: `features` holds the records of `settings.features` as a JSON list; `earlier_graph`, where it is
        there, the folder of an earlier transform graph, from whose vocabularies those with `grow` go on.

    Returns:
      By output name, dense: numeric float32 `(batch_size,)`, in buckets int64 `(batch_size,)`; categorical int64
      `(batch_size,)`; hashed int64 `(batch_size,)`; multivalent, sequence and text int64 `(batch_size, max_length)`;
      vector float32 `(batch_size, dimension)`; image float32 `(batch_size, height, width, 3)`; `<name>_missing`,
      `<name>_sin` and `<name>_cos` float32 `(batch_size,)`.

    Raises:
      ConfigError: a record names a column that the data lack, or one of the wrong type.
    """
    records = FeatureList.model_validate({"records": json.loads(custom_config["features"])}).records
    columns = {record.name: tuple(_column(record, name, inputs) for name in record.sources) for record in records}
    single = {name: parts[0] for name, parts in columns.items()}
    outputs = numeric.transform([r for r in records if isinstance(r, NumericFeature)], single)
    outputs |= cyclic.transform([r for r in records if isinstance(r, CyclicFeature)], single)
    outputs |= hashed.transform([r for r in records if isinstance(r, HashedFeature)], columns)
    outputs |= vectors.transform([r for r in records if isinstance(r, VectorFeature | ImageFeature)], single)
    token_records = [r for r in records if isinstance(r, VocabularyFeature)]
    return outputs | tokens.transform(token_records, single, custom_config.get("earlier_graph", ""))


def _column(record: Feature, source: str, inputs: dict[str, RawTensor]) -> tf.RaggedTensor:
    """Return one of a record's raw columns, checked against the record's kind."""
    if source not in inputs:
        raise ConfigError(
            f"features: {record.name!r} reads column {source!r}, which the data do not have. Columns: {sorted(inputs)}"
        )
    dtype = inputs[source].dtype
    if isinstance(record, NumericFeature | CyclicFeature) and dtype == tf.string:
        raise ConfigError(
            f"features: {record.kind} {record.name!r} reads column {source!r}, which holds text. "
            "Expected integers or floats; for text use kind: categorical"
        )
    if isinstance(record, VectorFeature) and dtype == tf.string:
        raise ConfigError(
            f"features: vector {record.name!r} reads column {source!r}, which holds text. Expected lists of numbers"
        )
    if isinstance(record, ImageFeature) and dtype != tf.string:
        raise ConfigError(
            f"features: image {record.name!r} reads column {source!r}, which holds numbers. Expected the bytes "
            "of a PNG, JPEG, BMP or GIF file; for vectors of images use kind: vector"
        )
    if isinstance(record, VocabularyFeature | HashedFeature) and dtype.is_floating:
        raise ConfigError(
            f"features: {record.name!r} reads column {source!r}, which holds floats. "
            "Expected text or integers; for floats use kind: numeric with scaling: bucketize"
        )
    if isinstance(record, TextFeature) and dtype != tf.string:
        raise ConfigError(
            f"features: text {record.name!r} reads column {source!r}, which holds numbers. Expected text; for numbers "
            "use kind: categorical"
        )
    return as_ragged(inputs[source])
