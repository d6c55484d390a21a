"""Full pass: what is learnt from all rows of train.

Every analyzer reads raw values and never another analyzer's result, so that Transform learns everything in ONE pass;
columns that ask for the same statistic share one analyzer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_transform as tft

from settings.features import VocabularyFeature
from transforms.collisions import WriteCollisions, collision_file
from transforms.vocabulary_files import NO_TOKEN, Vocabulary, WriteVocabularies

# Share of the rows by which a learnt quantile's rank may be off; costs 25 KB a column and no measurable time.
QUANTILE_EPSILON = 1e-3


class Moments(NamedTuple):
    """Mean and biased standard deviation of one column, float64 scalars."""

    mean: tf.Tensor
    deviation: tf.Tensor


def moments(columns: dict[str, tf.Tensor]) -> dict[str, Moments]:
    """Return the moments of the present values of each column.

    Args:
      columns: by name, float64 `(batch_size,)`, NaN where missing.

    Returns:
      By name: mean 0 and deviation 1 for a column without a value, deviation 1 for a constant one.
    """
    if not columns:
        return {}
    matrix = tf.stack(list(columns.values()), axis=1)  # (batch_size, num_columns)
    mean = tft.mean(matrix, reduce_instance_dims=False)
    variance = tft.var(matrix, reduce_instance_dims=False)
    mean = tf.where(tf.math.is_finite(mean), mean, tf.zeros_like(mean))
    deviation = tf.where(variance > 0, tf.sqrt(variance), tf.ones_like(variance))
    return {name: Moments(mean[i], deviation[i]) for i, name in enumerate(columns)}


def ranges(columns: dict[str, tf.Tensor]) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Return the lowest and the highest of the present values of each column.

    Args:
      columns: by name, float64 `(batch_size,)`, NaN where missing.

    Returns:
      By name, float64 scalars; 0 and 1 for a column without a value.
    """
    if not columns:
        return {}
    matrix = tf.stack(list(columns.values()), axis=1)  # (batch_size, num_columns)
    missing, infinity = tf.math.is_nan(matrix), tf.constant(float("inf"), tf.float64)
    low = tft.min(tf.where(missing, infinity, matrix), reduce_instance_dims=False)
    high = tft.max(tf.where(missing, -infinity, matrix), reduce_instance_dims=False)
    known = tf.math.is_finite(low) & tf.math.is_finite(high)
    low, high = tf.where(known, low, tf.zeros_like(low)), tf.where(known, high, tf.ones_like(high))
    return {name: (low[i], high[i]) for i, name in enumerate(columns)}


class Gaussian(NamedTuple):
    """Mean `(num_columns,)` and covariance `(num_columns, num_columns)`, float64, of the rows without a gap."""

    mean: tf.Tensor
    covariance: tf.Tensor


def gaussian(matrix: tf.Tensor) -> Gaussian:
    """Return the joint distribution of the columns, learnt from the rows that have them all.

    Args:
      matrix: float64 `(batch_size, num_columns)`, NaN where missing.
    """
    whole = tf.boolean_mask(matrix, tf.reduce_all(tf.math.is_finite(matrix), axis=1))
    mean = tft.mean(whole, reduce_instance_dims=False)
    return Gaussian(tf.where(tf.math.is_finite(mean), mean, tf.zeros_like(mean)), tft.covariance(whole, tf.float64))


def collisions(tokens: dict[str, tf.Tensor], ids: dict[str, tf.Tensor]) -> None:
    """Count which tokens of train share an id; `transforms.collisions.collision_rates` reads the counts.

    Args:
      tokens: string `(batch_size,)` by feature name, empty where missing.
      ids: int64 `(batch_size,)` by feature name.
    """
    for name in tokens:
        (path,) = tft.experimental.ptransform_analyzer(
            [tokens[name], ids[name]],
            WriteCollisions(name),
            output_dtypes=[tf.string],
            output_shapes=[[]],
            output_asset_default_values=[b"{}"],
            name=f"{name}_collisions",
        )
        tft.annotate_asset(collision_file(name), collision_file(name))
        del path


def quantiles(column: tf.Tensor, num_buckets: int) -> tf.Tensor:
    """Return the boundaries that cut the present values of a column into buckets of equal counts.

    Args:
      column: float64 `(batch_size,)`, NaN where missing.
      num_buckets: how many; 2 gives the median.

    Returns:
      Ascending float32 `(num_buckets - 1,)`; zeros for a column without a value.
    """
    present = tf.boolean_mask(column, tf.logical_not(tf.math.is_nan(column)))
    return tft.quantiles(present, num_buckets, QUANTILE_EPSILON)[0]


def vocabularies(
    tokens: dict[str, tf.Tensor], owners: Sequence[VocabularyFeature], earlier_graph: str = ""
) -> dict[str, tf.Tensor]:
    """Return the (deferred) paths of the vocabularies, all learnt together.

    Args:
      tokens: string `(num_tokens,)`, by name of the record that owns the vocabulary.
      owners: the records that say what is kept (`min_count`, `top_k`, `grow`) and how the files are called.
      earlier_graph: folder of an earlier transform graph, from whose vocabularies those with `grow` go on; empty: none.

    Returns:
      By vocabulary name, a string scalar: the file that `tft.apply_vocabulary` reads.
    """
    wanted = tuple(
        Vocabulary(owner.vocabulary_name, owner.min_count, owner.top_k, _earlier_path(owner, earlier_graph))
        for owner in owners
    )
    if not wanted:
        return {}
    paths = tft.experimental.ptransform_analyzer(
        [tokens[owner.name] for owner in owners],
        WriteVocabularies(wanted),
        output_dtypes=[tf.string] * len(wanted),
        output_shapes=[[]] * len(wanted),
        output_asset_default_values=[NO_TOKEN] * len(wanted),
        name="vocabularies",
    )
    for vocabulary in wanted:
        tft.annotate_asset(vocabulary.name, vocabulary.name)
    return {vocabulary.name: path for vocabulary, path in zip(wanted, paths, strict=True)}


def _earlier_path(owner: VocabularyFeature, earlier_graph: str) -> str:
    """Return the file of the vocabulary that this one goes on from; empty where there is none."""
    if not (owner.grow and earlier_graph):
        return ""
    return tft.TFTransformOutput(earlier_graph).vocabulary_file_by_name(owner.vocabulary_name) or ""
