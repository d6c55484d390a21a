"""What StatisticsGen found in each raw feature, cut down to what a page shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FeatureSummary:
    """One raw feature of the train split.

    Attributes:
      name: the column.
      kind: `number` or `text`.
      missing: share of rows without a value, 0 to 1.
      facts: a few words, such as range and mean, or the number of distinct values and the most frequent ones.
      bars: heights of a small histogram, the tallest 1.0: ten buckets of a number, or the most frequent texts.
    """

    name: str
    kind: str
    missing: float
    facts: str
    bars: tuple[float, ...]


def read_feature_statistics(statistics_uri: str, split: str = "train") -> list[FeatureSummary]:
    """Return the features of one split in order of name; none where the artifact does not hold the split."""
    path = Path(statistics_uri) / f"Split-{split}" / "FeatureStats.pb"
    if not path.is_file():
        return []
    from tensorflow_metadata.proto.v0 import statistics_pb2

    datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
    return sorted((_feature(f) for dataset in datasets for f in dataset.features), key=lambda feature: feature.name)


def _feature(feature: Any) -> FeatureSummary:
    name = feature.name or ".".join(feature.path.step)
    if feature.WhichOneof("stats") == "num_stats":
        common, (facts, bars) = feature.num_stats.common_stats, _number(feature.num_stats)
        kind = "number"
    else:
        common, (facts, bars) = feature.string_stats.common_stats, _text(feature.string_stats)
        kind = "text"
    rows = common.num_missing + common.num_non_missing
    return FeatureSummary(name, kind, common.num_missing / rows if rows else 0.0, facts, _scaled(bars))


def _number(stats: Any) -> tuple[str, list[float]]:
    facts = f"{stats.min:,.4g} to {stats.max:,.4g}, mean {stats.mean:,.4g}, median {stats.median:,.4g}"
    # Type 0 has buckets of equal width, type 1 quantiles.
    histogram = next((h for h in stats.histograms if h.type == 0), None)
    return facts, [bucket.sample_count for bucket in histogram.buckets] if histogram else []


def _text(stats: Any) -> tuple[str, list[float]]:
    top = [value for value in stats.top_values if value.value][:3]
    often = ", ".join(_shortened(value.value) for value in top)
    facts = f"{stats.unique:,} distinct" + (f"; most often {often}" if often else "")
    return facts, [bucket.sample_count for bucket in stats.rank_histogram.buckets[:10]]


def _shortened(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"


def _scaled(bars: list[float]) -> tuple[float, ...]:
    tallest = max(bars, default=0.0)
    return tuple(bar / tallest for bar in bars) if tallest > 0 else ()
