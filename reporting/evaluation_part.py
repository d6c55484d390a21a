"""What a page shows of an evaluation beside the tables: differences, weakest slices, curves, examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup

from datasets import columns
from evaluation.metric_table import QUERY_COUNTS
from evaluation.slices import features_of
from reporting import comparison
from reporting.interval_chart import Difference, draw_differences
from reporting.line_chart import draw_lines
from reporting.summary import MetricRecord, Summary

_NUM_WEAKEST = 3
_NUM_CALIBRATION_BINS = 10
_RECALLS = [index / 20 for index in range(1, 21)]
_Table = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Chart:
    """A picture and the names of its series, in the order of their colours."""

    title: str
    series: tuple[str, ...]
    svg: Markup
    note: str = ""


@dataclass(frozen=True)
class WeakSlice:
    """A slice and why it is listed."""

    row: MetricRecord
    reason: str


@dataclass(frozen=True)
class EvaluationPart:
    """Everything of the part; empty where nothing was evaluated."""

    counts: str = ""
    cold_start: str = ""
    differences: Chart | None = None
    weakest: tuple[WeakSlice, ...] = ()
    charts: tuple[Chart, ...] = ()
    examples: tuple[dict[str, Any], ...] = field(default=())


def read_details(summary: Summary) -> dict[str, Any]:
    """Return the Evaluator's `details.json`; empty where there is none."""
    node = summary.node("Evaluator")
    uris = node.outputs.get("blessing", ()) if node is not None else ()
    path = Path(uris[0]) / "details.json" if uris else None
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}


def evaluation_part(summary: Summary, details: dict[str, Any]) -> EvaluationPart:
    """Return what to show.

    Args:
      summary: the run.
      details: `details.json`; may be empty.
    """
    metric = comparison.headline(summary)
    if metric is None:
        return EvaluationPart()
    rows = [row for name in comparison.slice_names(summary) if (row := summary.metric(metric, name)) is not None]
    charts = []
    if "score_histogram" in details:
        charts += [calibration_chart(details["score_histogram"]), precision_recall_chart(details["score_histogram"])]
    if "depth_curve" in details:
        charts.append(depth_chart(details["depth_curve"]))
    if "popularity_profile" in details:
        charts.append(popularity_chart(details["popularity_profile"]))
    return EvaluationPart(
        counts=_counts(summary),
        differences=_differences(metric, rows),
        weakest=weakest_slices(summary, rows),
        cold_start=_cold_start(summary, rows),
        charts=tuple(charts),
        examples=tuple(details.get("examples", ())),
    )


def _counts(summary: Summary) -> str:
    """Return what was measured and how often it was out of the ordinary, in a sentence."""
    found = {name: row.value for name in QUERY_COUNTS if (row := summary.metric(name)) is not None}
    measured, without_relevant, short, repeated = (f"{found.get(name) or 0:,.0f}" for name in QUERY_COUNTS)
    longest = max(summary.config.get("evaluation", {}).get("top_k", ()), default="k")
    return (
        f"{measured} queries were measured; {without_relevant} more have no relevant item and are left out. "
        f"{short} have fewer than {longest} candidates; {repeated} rows repeat an item of their query."
    )


def _cold_start(summary: Summary, rows: Sequence[MetricRecord]) -> str:
    """Return where the model begins to be worth more than popularity, for the thresholds of the cold-start ladder."""
    known = [row for row in rows if features_of(row.slice) == (columns.USER_EVENT_COUNT,) and row.lift_interval]
    if not known:
        return ""
    sign = -1 if comparison.direction(known[0].name) == "lower" else 1
    better: dict[bool, list[str]] = {True: [], False: []}
    for row in known:
        low, high = row.lift_interval or (0.0, 0.0)
        better[(low if sign > 0 else -high) > 0].append(row.slice.partition("=")[2])
    sentences = [
        f"{words} {', '.join(names)} earlier events"
        for words, names in (("surely better than popularity with", better[True]), ("not surely with", better[False]))
        if names
    ]
    threshold = summary.config.get("serving", {}).get("min_events_for_model", "-")
    return (
        f"Cold start: for users the model is {'; '.join(sentences)}. It answers from serving.min_events_for_model, "
        f"{threshold}, on."
    )


def weakest_slices(summary: Summary, rows: Sequence[MetricRecord]) -> tuple[WeakSlice, ...]:
    """Return the slices with the worst values, and those that lose most against the baseline; large ones only.

    Args:
      summary: the run, for the numbers of queries and the gate's `min_queries`.
      rows: the headline metric on each slice.
    """
    smallest = summary.config.get("gate", {}).get("min_queries", 1)
    large = [
        row
        for row in rows
        if row.slice != "overall" and row.value is not None
        and (comparison.slice_count(summary.metrics, row.slice) or 0) >= smallest
    ]  # fmt: skip
    if not large:
        return ()
    sign = -1 if comparison.direction(large[0].name) == "lower" else 1
    found = [
        WeakSlice(row, "lowest" if sign > 0 else "highest")
        for row in sorted(large, key=lambda row: sign * (row.value or 0.0))[:_NUM_WEAKEST]
    ]
    losses = [
        (share, row)
        for row in large
        if (share := comparison.change(row.value, row.baseline)) is not None and sign * share < 0
    ]
    losses.sort(key=lambda loss: sign * loss[0])
    found += [
        WeakSlice(row, f"{comparison.percent(share)} against the baseline{_certainty(row)}")
        for share, row in losses[:_NUM_WEAKEST]
    ]
    return tuple(found)


def _certainty(row: MetricRecord) -> str:
    if row.difference_interval is None:
        return ""
    low, high = row.difference_interval
    return ", which noise explains" if low <= 0 <= high else ", more than noise explains"


def _differences(metric: str, rows: Sequence[MetricRecord]) -> Chart | None:
    def against(other: str, interval: str) -> list[Difference | None]:
        found: list[Difference | None] = []
        for row in rows:
            reference, ends = getattr(row, other), getattr(row, interval)
            known = row.value is not None and reference is not None
            found.append(Difference(row.value - reference, *(ends or (None, None))) if known else None)
        return found

    series = [
        ("baseline", against("baseline", "difference_interval")),
        ("popularity", against("popularity", "lift_interval")),
    ]
    shown = tuple(name for name, differences in series if any(differences))
    if not shown:
        return None
    title = f"{metric}: candidate minus {' and minus '.join(shown)}, by slice"
    return Chart(title, shown, draw_differences(title, [row.slice for row in rows], series))


def calibration_chart(histograms: dict[str, _Table]) -> Chart:
    """Return how often labels are 1 against what was predicted, in ten bins, from `score_histogram`."""
    centers = [(index + 0.5) / _NUM_CALIBRATION_BINS for index in range(_NUM_CALIBRATION_BINS)]
    series: dict[str, list[float | None]] = {"perfect": list(centers)}
    for whose, (counts, _, positives) in histograms.items():
        width = len(counts) // _NUM_CALIBRATION_BINS
        bins = [slice(index * width, (index + 1) * width) for index in range(_NUM_CALIBRATION_BINS)]
        series[whose] = [sum(positives[part]) / total if (total := sum(counts[part])) else None for part in bins]
    series = {name: series[name] for name in ("candidate", "perfect", *series) if name in series}
    svg = draw_lines("Calibration: share of positives by predicted probability", centers, series, "predicted")
    return Chart("Calibration", tuple(series), svg, "Share of positives among rows of one predicted probability.")


def precision_recall_chart(histograms: dict[str, _Table]) -> Chart:
    """Return precision at each recall, from `score_histogram`: thresholds lie between its bins."""
    series = {whose: precisions_at(table, _RECALLS) for whose, table in histograms.items()}
    svg = draw_lines("Precision by recall", _RECALLS, series, "recall")
    return Chart(
        "Precision and recall", tuple(series), svg, "Precision at the highest threshold that reaches a recall."
    )


def depth_chart(curves: dict[str, _Table]) -> Chart:
    """Return precision at each recall that lists of 1, 2, ... items reach, from `depth_curve`."""
    points = {}
    for whose, (queries, recalls, precisions) in curves.items():
        points[whose] = [
            (recall / count, precision / count)
            for count, recall, precision in zip(queries, recalls, precisions, strict=True)
            if count
        ]
    furthest = max((found[-1][0] for found in points.values() if found), default=0.0)
    x = [furthest * index / 20 for index in range(1, 21)]
    series = {whose: [_between(found, recall) for recall in x] for whose, found in points.items()}
    svg = draw_lines("Precision by recall", x, series, "recall", [f"{recall:.2g}" for recall in x])
    note = "Means over queries of lists of one item, two, and so on, over the whole catalogue."
    return Chart("Precision and recall", tuple(series), svg, note)


def _between(points: Sequence[tuple[float, float]], recall: float) -> float | None:
    """Return the precision on the line between the points about a recall; None outside of them.

    Example:
      >>> _between([(0.0, 0.5), (1.0, 0.25)], 0.5), _between([(0.0, 0.5)], 0.5)
      (0.375, None)
    """
    for (low, first), (high, second) in pairwise(points):
        if low <= recall <= high + 1e-12 and high > low:
            return first + (second - first) * (recall - low) / (high - low)
    return None


def precisions_at(table: _Table, recalls: Sequence[float]) -> list[float | None]:
    """Return the precision at the highest threshold that reaches each recall; None where there is no positive.

    Example:
      >>> precisions_at([[4.0, 2.0], [1.0, 1.8], [1.0, 1.0]], [0.5, 1.0])
      [0.5, 0.3333333333333333]
    """
    counts, _, positives = table
    total = sum(positives)
    if not total:
        return [None] * len(recalls)
    points, shown, hits = [], 0.0, 0.0
    for count, positive in zip(reversed(counts), reversed(positives), strict=True):
        shown, hits = shown + count, hits + positive
        points.append((hits / total, hits / shown if shown else 0.0))
    return [next(precision for recall, precision in points if recall >= wished - 1e-9) for wished in recalls]


def popularity_chart(profiles: dict[str, _Table]) -> Chart:
    """Return how popular recommended items are, and those chosen before, from `popularity_profile`."""
    recommended, history = profiles["candidate"]
    last = max((index for row in (recommended, history) for index, count in enumerate(row) if count), default=0)
    series: dict[str, list[float | None]] = {"candidate": _shares(recommended[: last + 1])}
    if "baseline" in profiles:
        series["baseline"] = _shares(profiles["baseline"][0][: last + 1])
    series["history"] = _shares(history[: last + 1])
    x = [float(index) for index in range(last + 1)]
    # A bin holds the items from so many train events on, to below those of the next.
    names = [f"{2**index - 1:,}" for index in range(last + 1)]
    svg = draw_lines("Share of items by popularity", x, series, "train events, from", names)
    return Chart(
        "Popularity of recommended items",
        tuple(series),
        svg,
        "Share of the items recommended, and of those that the same users chose before, by how often train holds them.",
    )


def _shares(counts: Sequence[float]) -> list[float | None]:
    total = sum(counts)
    return [count / total if total else None for count in counts]
