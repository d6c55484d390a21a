"""The schema that holds when nobody curated one: inferred from train, then relaxed by what we know of the columns.

What TFDV infers from train is too tight for later rows and would stop healthy runs: it takes 21 seen occupations for
all there are, asks of every column what happens to hold in train, and knows no column that only later splits have. It
is too loose too: a rating may be anything. Three kinds of columns are told apart:

- the pipeline's own (ids, time, labels, counts): their types, presence and ranges are fixed by `datasets.columns`;
- point-in-time state (histories, means so far): absent for new users and items, however many of those there are;
- the user's tables: optional up to a share, text in a closed set of values up to a share.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from datasets import columns

TRAIN = columns.EVENT_SPLITS[0]
# A column of the user's tables may be present in this share of what train has: later rows hold newer users and items.
MIN_PRESENCE = 0.8
# Values of a closed set that may be unseen in train.
MAX_UNSEEN_SHARE = 0.1
# A text column is a closed set when train has this many users and items for each value; a ZIP code is none.
MIN_ENTITIES_PER_VALUE = 10
# A number is on a closed scale (stars) when at least this share of its values sits at the maximum.
MIN_SHARE_AT_MAXIMUM = 0.1

_BYTES, _INT, _FLOAT = schema_pb2.BYTES, schema_pb2.INT, schema_pb2.FLOAT
# In every row, exactly once.
REQUIRED = {
    columns.USER_ID: _BYTES,
    columns.ITEM_ID: _BYTES,
    columns.QUERY_ID: _BYTES,
    columns.TIMESTAMP: _INT,
    columns.RATING: _FLOAT,
    columns.RELEVANT: _FLOAT,
    columns.LIKED: _FLOAT,
    columns.USER_EVENT_COUNT: _INT,
    columns.ITEM_EVENT_COUNT: _INT,
}
# Absent where there is nothing earlier, or in the splits that do not need it.
OPTIONAL = {
    columns.HISTORY: _BYTES,
    columns.SEEN: _BYTES,
    columns.USER_RATING_MEAN: _FLOAT,
    columns.ITEM_RATING_MEAN: _FLOAT,
    columns.SECONDS_SINCE_LAST_EVENT: _FLOAT,
    columns.SEQUENCE_END: _INT,
}
LISTS = (columns.HISTORY, columns.SEEN)
LABELS = (columns.RELEVANT, columns.LIKED)
NEVER_NEGATIVE = (columns.TIMESTAMP, columns.USER_EVENT_COUNT, columns.ITEM_EVENT_COUNT)

Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]


def inferred_schema(statistics: Statistics) -> schema_pb2.Schema:
    """Return the schema that train, and every split like it, fulfils.

    Args:
      statistics: by split, with `train` among them; the others only tell which columns they have on top of train's.

    Returns:
      A schema without shapes, so that Transform reads every column as sparse.
    """
    train = statistics[TRAIN].datasets[0]
    seen = {feature.path.step[0]: feature for feature in train.features}
    # A value set is small or large beside the number of users and items that could bring new values.
    num_entities = min(_num_unique(seen.get(name)) for name in (columns.USER_ID, columns.ITEM_ID))
    own = REQUIRED | OPTIONAL
    features = [_own_column(name, seen.get(name)) for name in own]
    domains: list[schema_pb2.StringDomain] = []
    for split in sorted(statistics, key=lambda split: split != TRAIN):
        inferred = tfdv.infer_schema(statistics[split], infer_feature_shape=False)
        known = {feature.name for feature in features}
        for column in inferred.feature:
            if column.name in known:
                continue
            feature = schema_pb2.Feature(name=column.name, type=column.type)
            _ask_for_presence(feature, seen.get(column.name), train.num_examples)
            if 0 < _num_unique(seen.get(column.name)) * MIN_ENTITIES_PER_VALUE <= num_entities and column.domain:
                feature.domain = column.domain
                feature.distribution_constraints.min_domain_mass = 1 - MAX_UNSEEN_SHARE
                domains.extend(domain for domain in inferred.string_domain if domain.name == column.domain)
            features.append(feature)
    return schema_pb2.Schema(feature=features, string_domain=domains)


def _own_column(name: str, seen: statistics_pb2.FeatureNameStatistics | None) -> schema_pb2.Feature:
    """Return what the pipeline itself promises of a column."""
    feature = schema_pb2.Feature(name=name, type=(REQUIRED | OPTIONAL)[name])
    if name in REQUIRED:
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
    if name not in LISTS:
        feature.value_count.min = feature.value_count.max = 1
    if name in NEVER_NEGATIVE:
        feature.int_domain.min = 0
    if name == columns.SEQUENCE_END:
        feature.int_domain.min, feature.int_domain.max = 0, 1
    if feature.type == _FLOAT:
        feature.float_domain.disallow_nan = feature.float_domain.disallow_inf = True
    if name in LABELS:
        feature.float_domain.min, feature.float_domain.max = 0.0, 1.0
    if name == columns.RATING:
        feature.float_domain.MergeFrom(_scale(seen))
    if name == columns.SECONDS_SINCE_LAST_EVENT:
        feature.float_domain.min = 0.0
    return feature


def _ask_for_presence(
    feature: schema_pb2.Feature, seen: statistics_pb2.FeatureNameStatistics | None, num_examples: int
) -> None:
    """Ask that a column of the user's tables stay about as full as it is in train; of one new after train, nothing."""
    share = _num_present(seen) / num_examples if seen and num_examples else 0.0
    if share:
        feature.presence.min_fraction = round(MIN_PRESENCE * share, 6)
        feature.presence.min_count = 1


def _scale(rating: statistics_pb2.FeatureNameStatistics | None) -> schema_pb2.FloatDomain:
    """Return the range of a closed scale of stars; of an open one, such as seconds watched, only its sign."""
    domain = schema_pb2.FloatDomain()
    if rating is None or not rating.HasField("num_stats") or not _num_present(rating):
        return domain
    numbers = rating.num_stats
    if _share_at_maximum(numbers) >= MIN_SHARE_AT_MAXIMUM:
        domain.min, domain.max = numbers.min, numbers.max
    elif numbers.min >= 0:
        domain.min = 0.0
    return domain


def _share_at_maximum(numbers: statistics_pb2.NumericStatistics) -> float:
    """Return the share of the quantile buckets that hold nothing but the maximum."""
    for histogram in numbers.histograms:
        if histogram.type == statistics_pb2.Histogram.QUANTILES and histogram.buckets:
            full = [bucket for bucket in histogram.buckets if bucket.low_value == numbers.max]
            return len(full) / len(histogram.buckets)
    return 0.0


def _num_present(seen: statistics_pb2.FeatureNameStatistics) -> int:
    kind = seen.WhichOneof("stats")
    return getattr(seen, kind).common_stats.num_non_missing if kind else 0


def _num_unique(seen: statistics_pb2.FeatureNameStatistics | None) -> int:
    return seen.string_stats.unique if seen else 0
