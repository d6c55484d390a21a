"""How numbers stand to one another, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from evaluation.metric_table import QUERY_COUNTS, better
from reporting.summary import MetricRecord, Summary

Direction = Literal["higher", "lower", "neutral"]
COUNTS = (*QUERY_COUNTS, "num_examples")


def direction(metric: str) -> Direction:
    """Return which way a metric is better; neutral for counts and for what is best in between.

    Example:
      >>> direction("ndcg@10"), direction("rmse"), direction("num_queries")
      ('higher', 'lower', 'neutral')
    """
    side = better(metric)
    return "neutral" if side is None else side.value


def change(value: float | None, reference: float | None) -> float | None:
    """Return (value - reference) / |reference|; None where it has no meaning.

    Example:
      >>> change(0.3, 0.2), change(0.3, 0.0), change(None, 0.2)
      (0.4999999999999999, None, None)
    """
    return None if value is None or not reference else (value - reference) / abs(reference)


def percent(share: float | None) -> str:
    """Return a signed percentage, empty for None.

    Example:
      >>> percent(0.4567), percent(-0.004), percent(None)
      ('+45.7 %', '-0.4 %', '')
    """
    return "" if share is None else f"{share * 100:+.1f} %"


def number(value: float | None) -> str:
    """Return a value with four significant places after the point, counts without.

    Example:
      >>> number(0.123456), number(1234.0), number(None)
      ('0.1235', '1,234', '-')
    """
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.4f}"


def interval(ends: tuple[float, float] | None) -> str:
    """Return an interval in brackets, empty for None.

    Example:
      >>> interval((0.12345, 0.2)), interval(None)
      (' [0.1235, 0.2000]', '')
    """
    return "" if ends is None else f" [{number(ends[0])}, {number(ends[1])}]"


def verdict_of_change(metric: str, share: float | None) -> Literal["better", "worse", ""]:
    """Return whether a relative change is for the better.

    Example:
      >>> verdict_of_change("rmse", -0.1), verdict_of_change("auc", -0.1), verdict_of_change("spread", 0.1)
      ('better', 'worse', '')
    """
    if share is None or share == 0 or direction(metric) == "neutral":
        return ""
    return "better" if (share > 0) == (direction(metric) == "higher") else "worse"


def headline(summary: Summary) -> str | None:
    """Return the metric that stands for a run: the one the gate holds against popularity, else the first of quality."""
    names = metric_names(summary)
    gate = summary.config.get("gate", {})
    wished = [gate.get("popularity_metric"), *(floor.get("metric") for floor in gate.get("floors", ()))]
    wished += [row["metric"] for row in gate.get("regressions", ())]
    preferred = [name for name in wished if name in names]
    return next(iter(preferred + ["ndcg@10"] * ("ndcg@10" in names) + _of_quality(names)), None)


def metric_names(summary: Summary) -> list[str]:
    """Return the metrics that any model has a value of on the overall slice, in the order of the evaluation."""
    return [
        row.name
        for row in summary.metrics
        if row.slice == "overall" and (row.value, row.baseline, row.popularity) != (None, None, None)
    ]


def slice_names(summary: Summary) -> list[str]:
    """Return all slices, overall first, features together, numbers in their order."""
    names = list(dict.fromkeys(row.slice for row in summary.metrics))
    return sorted(names, key=lambda name: (name != "overall", name.partition("=")[0], _sort_key(name)))


def slice_count(rows: Sequence[MetricRecord], slice_name: str) -> float | None:
    """Return how many queries (or examples) a slice holds."""
    counts = {row.name: row.value for row in rows if row.slice == slice_name and row.name in COUNTS}
    return counts.get("num_queries", counts.get("num_examples"))


def _of_quality(names: Sequence[str]) -> list[str]:
    return [name for name in names if direction(name) != "neutral"]


def _sort_key(name: str) -> tuple[float, str]:
    """Sort `<10`, `10-50`, `>=50` by their numbers, everything else by its text.

    Example:
      >>> sorted(["age=>=50", "age=10-50", "age=<10"], key=_sort_key)
      ['age=<10', 'age=10-50', 'age=>=50']
    """
    value = name.partition("=")[2]
    text = value.lstrip("<>=")
    first = text.split("-")[0]
    try:
        bound = float(first)
    except ValueError:
        return (0.0, value)
    return (bound - 0.5 if value.startswith("<") else bound, value)
