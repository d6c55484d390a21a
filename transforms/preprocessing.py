"""The preprocessing function of the pipeline's Transform, generated from the feature records."""

from __future__ import annotations

import json
from typing import Any

import tensorflow as tf

from settings.errors import ConfigError
from settings.features import FeatureList, FeatureRecord, NumericFeature, VocabularyFeature
from transforms import numeric, tokens
from transforms.raw_columns import RawTensor, as_ragged


def preprocessing_fn(inputs: dict[str, RawTensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Return the transformed features of a batch; every parameter is learnt in one full pass over train.

    Args:
      inputs: raw columns by name, sparse, ragged or dense, `(batch_size, ...)`.
      custom_config: `features` holds the records of `settings.features` as a JSON list.

    Returns:
      By output name, dense: numeric float32 `(batch_size,)`, in buckets int64 `(batch_size,)`; categorical int64
      `(batch_size,)`; multivalent and sequence int64 `(batch_size, max_length)`; `<name>_missing` float32
      `(batch_size,)`.

    Raises:
      ConfigError: a record names a column that the data lack, or one of the wrong type.
    """
    records = FeatureList.model_validate({"records": json.loads(custom_config["features"])}).records
    columns = {record.name: _column(record, inputs) for record in records}
    outputs = numeric.transform([r for r in records if isinstance(r, NumericFeature)], columns)
    return outputs | tokens.transform([r for r in records if not isinstance(r, NumericFeature)], columns)


def _column(record: FeatureRecord, inputs: dict[str, RawTensor]) -> tf.RaggedTensor:
    """Return a record's raw column, checked against the record's kind."""
    if record.source not in inputs:
        raise ConfigError(
            f"features: {record.name!r} reads column {record.source!r}, which the data do not have. "
            f"Columns: {sorted(inputs)}"
        )
    dtype = inputs[record.source].dtype
    if isinstance(record, NumericFeature) and dtype == tf.string:
        raise ConfigError(
            f"features: numeric {record.name!r} reads column {record.source!r}, which holds text. "
            "Expected integers or floats; for text use kind: categorical"
        )
    if isinstance(record, VocabularyFeature) and dtype.is_floating:
        raise ConfigError(
            f"features: {record.name!r} reads column {record.source!r}, which holds floats. "
            "Expected text or integers; for floats use kind: numeric with scaling: bucketize"
        )
    return as_ragged(inputs[record.source])
