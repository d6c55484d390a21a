"""Numeric records: impute, then standardize, cut into quantile buckets, or take as it is."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from settings.features import NumericFeature
from transforms import learnt
from transforms.raw_columns import first


def transform(records: Sequence[NumericFeature], columns: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    """Return the transformed numeric features.

    Mean, standard deviation and quantiles are those of the values present in train; imputed values do not enter them.
    NaN and infinite values count as missing.

        standardize   (impute(x) - mean) / deviation
        bucketize     1 + number of boundaries <= impute(x)
        none          impute(x)

    Args:
      records: what becomes of which column.
      columns: raw integers or floats by record name, ragged `(batch_size, None)`; the first value of a row counts.

    Returns:
      By output name: float32 `(batch_size,)`; int64 `(batch_size,)` in `1..num_buckets` with `scaling: bucketize`; and
      float32 `<name>_missing`, 1.0 where there was no value.
    """
    # float64: float32 would lose the spread of seconds since 1970.
    values = {r.name: _finite(first(tf.cast(columns[r.name], tf.float64), float("nan"))) for r in records}
    needing = [r.name for r in records if r.impute == "mean" or r.scaling == "standardize"]
    moments = learnt.moments({name: values[name] for name in needing})
    medians = {r.name: learnt.quantiles(values[r.name], 2) for r in records if r.impute == "median"}
    outputs: dict[str, tf.Tensor] = {}
    for record in records:
        name, value = record.name, values[record.name]
        missing = tf.math.is_nan(value)
        if record.impute == "constant":
            fill = tf.constant(record.fill_value, tf.float64)
        else:
            fill = moments[name].mean if record.impute == "mean" else tf.cast(medians[name][0], tf.float64)
        filled = tf.where(missing, fill, value)
        if record.scaling == "standardize":
            filled = (filled - moments[name].mean) / moments[name].deviation
        number = tf.cast(filled, tf.float32)
        if record.scaling == "bucketize":
            boundaries = learnt.quantiles(value, record.num_buckets)
            outputs[name] = 1 + tft.apply_buckets(number, boundaries[tf.newaxis, :])
        else:
            outputs[name] = number
        if record.missing_indicator:
            outputs[f"{name}_missing"] = tf.cast(missing, tf.float32)
    return outputs


def _finite(value: tf.Tensor) -> tf.Tensor:
    """Return `value` with NaN in the place of infinities."""
    return tf.where(tf.math.is_finite(value), value, tf.constant(float("nan"), value.dtype))
