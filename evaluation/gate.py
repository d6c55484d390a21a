"""Whether a candidate may be pushed: a pure function from metrics and settings to verdicts.

A candidate is blessed when every verdict passes:

- at least one query was measured, and at least one threshold is set;
- all scores are finite, and they differ;
- every floor holds on the overall slice;
- the popularity metric is strictly better than popularity's, and by `min_popularity_lift` of it;
- no regression metric is worse than the baseline's by more than the allowed share of it, overall and, where that is
  set, in each slice with at least `min_queries` queries.

"Better" follows the metric: ndcg@10 higher, rmse lower. A value of the candidate that is absent or not finite passes
nothing. Without a baseline there is nothing to fall behind, and floors and popularity decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from evaluation.metric_table import Better, better
from evaluation.slices import OVERALL
from settings.evaluation import Floor, GateSettings, Regression

# Scores are float32 and sums are rounded: a relative difference below this is no difference.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class MetricRow:
    """One metric on one slice.

    Attributes:
      slice: `overall`, or column and value such as `gender=F`.
      name: for example `ndcg@10`.
      value: the candidate's; None where it was not measured.
      baseline: the blessed model's on the same rows; None without baseline.
      popularity: popularity's on the same rows; None for metrics that have none, such as counts.
    """

    slice: str
    name: str
    value: float | None = None
    baseline: float | None = None
    popularity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values; numbers that JSON cannot hold become null."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class Verdict:
    """One question that the gate asked.

    Attributes:
      name: the metric.
      slice: as in `MetricRow`.
      value: the candidate's.
      bound: what it had to reach; None where there was nothing to compare with.
      passed: the answer.
      reason: the rule in words, with its numbers.
    """

    name: str
    slice: str
    value: float | None
    bound: float | None
    passed: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values; numbers that JSON cannot hold become null."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class Decision:
    """All verdicts."""

    verdicts: tuple[Verdict, ...]

    @property
    def blessed(self) -> bool:
        """Whether the candidate may be pushed: there are verdicts and all pass."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)


def decide(rows: Iterable[MetricRow], settings: GateSettings) -> Decision:
    """Return the verdicts on a candidate.

    Args:
      rows: every metric on every slice.
      settings: the gate; its metric names were checked by `metric_table.check_gate`.

    Example:
      >>> rows = [MetricRow("overall", name, value) for name, value in
      ...         {"num_queries": 9, "finite": 1, "spread": 2.5, "ndcg@10": 0.1}.items()]
      >>> decision = decide(rows, GateSettings(floors=[Floor(metric="ndcg@10", at_least=0.2)]))
      >>> decision.blessed, decision.verdicts[-1].reason
      (False, 'floor: 0.1 is not at least 0.2')
    """
    table = {(row.slice, row.name): row for row in rows}
    verdicts = [
        *_health(table),
        *_thresholds_exist(settings),
        *(verdict for floor in settings.floors for verdict in _floor(table, floor)),
        *_popularity(table, settings),
        *(verdict for regression in settings.regressions for verdict in _regression(table, regression, settings)),
    ]
    return Decision(tuple(verdicts))


_Table = dict[tuple[str, str], MetricRow]


def _health(table: _Table) -> list[Verdict]:
    """Refuse an empty evaluation, scores that are not finite, and scores that are all the same."""
    num_queries = _row(table, "num_queries").value
    finite = _row(table, "finite").value
    spread = _row(table, "spread").value
    measured = _is_finite(num_queries) and num_queries >= 1
    all_finite = finite == 1.0
    differ = _is_finite(spread) and spread > 0
    return [
        Verdict(
            "num_queries", OVERALL, num_queries, 1.0, measured,
            f"{_text(num_queries)} queries with a relevant item were measured" if measured
            else "no query with a relevant item was measured: is the test split empty?",
        ),
        Verdict(
            "finite", OVERALL, finite, 1.0, all_finite,
            "all scores are finite" if all_finite
            else f"{_text(finite)} of the rows have finite scores only, all must: look for NaN weights",
        ),
        Verdict(
            "spread", OVERALL, spread, 0.0, differ,
            f"scores differ by up to {_text(spread)}" if differ
            else f"scores differ by {_text(spread)}, must be more than 0: the model tells nothing apart",
        ),
    ]  # fmt: skip


def _thresholds_exist(settings: GateSettings) -> list[Verdict]:
    """Refuse everything where nothing is asked for; the configuration is checked earlier, this is the last line."""
    if settings.floors or settings.popularity_metric:
        return []
    reason = "no threshold is set: add gate.floors or gate.popularity_metric"
    return [Verdict("threshold", OVERALL, None, None, False, reason)]


def _floor(table: _Table, floor: Floor) -> list[Verdict]:
    value = _row(table, floor.metric).value
    verdicts = []
    for bound, word in ((floor.at_least, "at least"), (floor.at_most, "at most")):
        if bound is None:
            continue
        passed = _is_finite(value) and (value >= bound if word == "at least" else value <= bound)
        reason = f"floor: {_text(value)} is {'' if passed else 'not '}{word} {_text(bound)}"
        verdicts.append(Verdict(floor.metric, OVERALL, value, bound, passed, reason))
    return verdicts


def _popularity(table: _Table, settings: GateSettings) -> list[Verdict]:
    name, lift = settings.popularity_metric, settings.min_popularity_lift
    if name is None:
        return []
    row = _row(table, name)
    if not _is_finite(row.popularity):
        reason = f"popularity: has no finite value ({_text(row.popularity)}), so nothing shows that the model beats it"
        return [Verdict(name, OVERALL, row.value, None, False, reason)]
    sign = _sign(name)
    bound = row.popularity * (1 + sign * lift)
    passed = (
        _is_finite(row.value)
        and sign * (row.value - bound) >= 0
        and sign * (row.value - row.popularity) > _ROUNDING * abs(row.popularity)
    )
    reason = (
        f"popularity: {_text(row.value)} is {'' if passed else 'not '}better than popularity's {_text(row.popularity)}"
        f" by at least {lift:.2%}"
    )
    return [Verdict(name, OVERALL, row.value, bound, passed, reason)]


def _regression(table: _Table, regression: Regression, settings: GateSettings) -> list[Verdict]:
    verdicts = []
    for (slice_, name), row in table.items():
        if name != regression.metric or row.baseline is None:
            continue
        if slice_ == OVERALL:
            verdicts.append(_not_worse(row, regression.max_relative_loss))
        elif regression.max_relative_loss_per_slice is not None and _is_compared(table, row, settings.min_queries):
            verdicts.append(_not_worse(row, regression.max_relative_loss_per_slice))
    return verdicts


def _is_compared(table: _Table, row: MetricRow, min_queries: int) -> bool:
    """Return whether a slice is large enough, and the metric defined on it for at least one of the two models."""
    queries = table.get((row.slice, "num_queries"))
    enough = queries is not None and _is_finite(queries.value) and queries.value >= min_queries
    return enough and (_is_finite(row.value) or _is_finite(row.baseline))


def _not_worse(row: MetricRow, max_loss: float) -> Verdict:
    sign = _sign(row.name)
    if not _is_finite(row.baseline):
        passed, bound = _is_finite(row.value), None
        reason = f"baseline: has no finite value, the candidate's is {_text(row.value)}"
    else:
        bound = row.baseline * (1 - sign * max_loss)
        passed = _is_finite(row.value) and sign * (row.value - bound) >= -_ROUNDING * abs(row.baseline)
        reason = (
            f"baseline: {_text(row.value)} is {'not worse' if passed else 'worse'} than the blessed model's "
            f"{_text(row.baseline)} by more than {max_loss:.2%}"
        )
    return Verdict(row.name, row.slice, row.value, bound, passed, reason)


def _row(table: _Table, name: str) -> MetricRow:
    return table.get((OVERALL, name), MetricRow(OVERALL, name))


def _sign(name: str) -> int:
    return -1 if better(name) is Better.LOWER else 1


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
