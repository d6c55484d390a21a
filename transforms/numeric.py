"""Numeric records: clip, take the logarithm, impute, then scale or cut into quantile buckets."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from settings.features import NumericFeature
from transforms import learnt
from transforms.raw_columns import first

_RIDGE = 1e-9


def transform(records: Sequence[NumericFeature], columns: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    """Return the transformed numeric features.

    x is the raw value, clipped and as its logarithm where the record says so. Mean, standard deviation, extremes and
    quantiles are those of the values present in train; imputed values do not enter them. NaN and infinite values count
    as missing.

        standardize   (impute(x) - mean) / deviation
        min_max       (impute(x) - lowest) / (highest - lowest), kept within 0..1
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
    values = {r.name: _shaped(r, _finite(first(tf.cast(columns[r.name], tf.float64), float("nan")))) for r in records}
    needing = [r.name for r in records if r.impute == "mean" or r.scaling == "standardize"]
    moments = learnt.moments({name: values[name] for name in needing})
    medians = {r.name: learnt.quantiles(values[r.name], 2) for r in records if r.impute == "median"}
    extremes = learnt.ranges({r.name: values[r.name] for r in records if r.scaling == "min_max"})
    expected = _expected({r.name: values[r.name] for r in records if r.impute == "multivariate"})
    outputs: dict[str, tf.Tensor] = {}
    for record in records:
        name, value = record.name, values[record.name]
        missing = tf.math.is_nan(value)
        if record.impute == "constant":
            fill = tf.constant(record.fill_value, tf.float64)
        elif record.impute == "multivariate":
            fill = expected[name]
        else:
            fill = moments[name].mean if record.impute == "mean" else tf.cast(medians[name][0], tf.float64)
        filled = tf.where(missing, fill, value)
        if record.scaling == "standardize":
            filled = (filled - moments[name].mean) / moments[name].deviation
        elif record.scaling == "min_max":
            low, high = extremes[name]
            filled = tf.clip_by_value((filled - low) / tf.where(high > low, high - low, tf.ones_like(low)), 0.0, 1.0)
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


def _shaped(record: NumericFeature, value: tf.Tensor) -> tf.Tensor:
    """Return `value` clipped and as its logarithm, where the record says so; NaN stays."""
    if record.clip is not None:
        value = tf.clip_by_value(value, *(tf.constant(bound, value.dtype) for bound in record.clip))
    return tf.sign(value) * tf.math.log1p(tf.abs(value)) if record.log else value


def _expected(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return what each column is expected to be, given the others that are present in the row.

        E[x_m | x_o] = mean_m + S_mo S_oo^-1 (x_o - mean_o)

    with mean and covariance S of the rows of train without a gap (one pass, where an iterative imputer takes many).

    Args:
      columns: by name, float64 `(batch_size,)`, NaN where missing.

    Returns:
      By name, float64 `(batch_size,)`; the mean where nothing else is known.
    """
    if not columns:
        return {}
    matrix = tf.stack(list(columns.values()), axis=1)  # (batch_size, num_columns)
    mean, covariance = learnt.gaussian(matrix)
    covariance = tf.where(tf.math.is_finite(covariance), covariance, tf.zeros_like(covariance))
    present = tf.cast(tf.math.is_finite(matrix), tf.float64)
    apart = tf.where(present > 0, matrix - mean, tf.zeros_like(matrix))
    # Rows and columns of what is missing become those of the unit matrix, and a trace keeps the rest invertible.
    trace = _RIDGE * tf.linalg.diag_part(covariance) + _RIDGE
    both = present[:, :, tf.newaxis] * present[:, tf.newaxis, :]  # (batch_size, num_columns, num_columns)
    system = both * covariance + tf.linalg.diag(1.0 - present + present * trace)
    weights = tf.linalg.solve(system, apart[:, :, tf.newaxis])[:, :, 0]
    expected = mean + tf.linalg.matvec(covariance, weights * present)
    return {name: expected[:, i] for i, name in enumerate(columns)}
