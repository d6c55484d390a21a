"""Cyclic records: a moment as an angle, so that 23:59 is close to 00:00."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from settings.features import CyclicFeature
from transforms.raw_columns import first

PERIOD_SECONDS = {"day": 86_400.0, "week": 7 * 86_400.0, "year": 365.2425 * 86_400.0}


def transform(records: Sequence[CyclicFeature], columns: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    """Return sine and cosine of each moment's place in its period.

        angle = 2 pi (seconds mod period) / period

    Args:
      records: what becomes of which column.
      columns: raw seconds since 1970 by record name, ragged `(batch_size, None)`; the first of a row counts.

    Returns:
      By output name, float32 `(batch_size,)`: `<name>_sin` and `<name>_cos`; both 0 where there is no moment.

    Example:
      >>> record = CyclicFeature(name="hour", tower="query", period="day")
      >>> found = transform([record], {"hour": tf.ragged.constant([[86_400 + 21_600], []], dtype=tf.int64)})
      >>> [abs(round(float(x), 6)) for x in found["hour_sin"]], [abs(round(float(x), 6)) for x in found["hour_cos"]]
      ([1.0, 0.0], [0.0, 0.0])
    """
    outputs = {}
    for record in records:
        period = PERIOD_SECONDS[record.period]
        # float64: float32 would round seconds since 1970 to minutes.
        seconds = first(tf.cast(columns[record.name], tf.float64), float("nan"))
        known = tf.math.is_finite(seconds)
        angle = 2 * math.pi * tf.math.floormod(tf.where(known, seconds, tf.zeros_like(seconds)), period) / period
        for suffix, function in (("sin", tf.sin), ("cos", tf.cos)):
            value = tf.where(known, function(angle), tf.zeros_like(angle))
            outputs[f"{record.name}_{suffix}"] = tf.cast(value, tf.float32)
    return outputs
