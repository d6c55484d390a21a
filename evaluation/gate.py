"""Whether a candidate may be pushed: a pure function from metrics and settings to verdicts.

A candidate is blessed when every verdict passes:

- at least `min_total_queries` queries were measured, and at least one threshold is set;
- all scores are finite, and they differ; so do the labels, where a model is to tell them apart;
- every floor holds on the overall slice;
- the popularity metric is better than popularity's, by `min_popularity_lift` of it, and surely better at all;
- no regression metric is surely worse than the baseline's and by more than the allowed share of it, overall and, where
  that is set, in each slice with at least `min_queries` queries;
- no metric that the gate names comes closer to perfection than one believes, overall or in such a slice;
- between the slices of a feature no metric surely differs by more than the ratio of `fairness`.

"Better" follows the metric: ndcg@10 higher, rmse lower. A value of the candidate that is absent or not finite passes
nothing. Without a baseline there is nothing to fall behind, and floors and popularity decide.

"Surely" is Student's t on the jackknife error of the paired difference. Noise alone blocks with a probability of at
most `1 - confidence`: four fifths of it are shared by the overall comparisons, one fifth by those of slices
(Bonferroni). Noise alone makes a copy of popularity pass with half of it. Where no error is known, the values decide as
they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from evaluation.intervals import margin
from evaluation.metric_table import Better, better, perfect
from evaluation.slices import OVERALL, features_of
from settings.evaluation import Fairness, Floor, GateSettings

# Scores are float32 and sums are rounded: a relative difference below this is no difference.
_ROUNDING = 1e-6
# Of the probability of a false alarm, what the overall comparisons may spend: they decide on most releases.
_OVERALL_SHARE = 0.8


@dataclass(frozen=True)
class MetricRow:
    """One metric on one slice.

    Attributes:
      slice: `overall`, or column and value such as `gender=F`.
      name: for example `ndcg@10`.
      value: the candidate's; None where it was not measured.
      baseline: the blessed model's on the same rows; None without baseline.
      popularity: popularity's on the same rows; None for metrics that have none, such as counts.
      error: standard error of `value`, and so on; None for counts.
      baseline_error: of `baseline`.
      popularity_error: of `popularity`.
      difference_error: of the paired difference `value - baseline`.
      lift_error: of the paired difference `value - popularity`.
      num_groups: groups of users that the errors come from.
    """

    slice: str
    name: str
    value: float | None = None
    baseline: float | None = None
    popularity: float | None = None
    error: float | None = None
    baseline_error: float | None = None
    popularity_error: float | None = None
    difference_error: float | None = None
    lift_error: float | None = None
    num_groups: float | None = None

    def to_json(self, confidence: float) -> dict[str, Any]:
        """Return plain values and, where errors are known, two-sided intervals; what JSON cannot hold becomes null."""
        intervals = {
            "interval": self._interval(self.value, self.error, confidence),
            "baseline_interval": self._interval(self.baseline, self.baseline_error, confidence),
            "popularity_interval": self._interval(self.popularity, self.popularity_error, confidence),
            "difference_interval": self._interval(_minus(self.value, self.baseline), self.difference_error, confidence),
            "lift_interval": self._interval(_minus(self.value, self.popularity), self.lift_error, confidence),
        }
        return _plain(asdict(self)) | {name: list(found) for name, found in intervals.items() if found is not None}

    def _interval(self, center: float | None, error: float | None, confidence: float) -> tuple[float, float] | None:
        half = margin(error, self.num_groups, confidence)
        return None if half is None or not _is_finite(center) else (center - half, center + half)


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
      ...         {"num_queries": 99, "finite": 1, "spread": 2.5, "ndcg@10": 0.1}.items()]
      >>> decision = decide(rows, GateSettings(floors=[Floor(metric="ndcg@10", at_least=0.2)]))
      >>> decision.blessed, decision.verdicts[-1].reason
      (False, 'floor: 0.1 is not at least 0.2')
    """
    table = {(row.slice, row.name): row for row in rows}
    verdicts = [
        *_health(table, settings),
        *_thresholds_exist(settings),
        *(verdict for floor in settings.floors for verdict in _floor(table, floor)),
        *_popularity(table, settings),
        *_regressions(table, settings),
        *_leaks(table, settings),
        *(verdict for fairness in settings.fairness for verdict in _fairness(table, fairness, settings)),
    ]
    return Decision(tuple(verdicts))


_Table = dict[tuple[str, str], MetricRow]


def _health(table: _Table, settings: GateSettings) -> list[Verdict]:
    """Refuse an evaluation of nothing or next to nothing, scores that are not finite, and what is all the same."""
    num_queries = _row(table, "num_queries").value
    finite = _row(table, "finite").value
    spread = _row(table, "spread").value
    measured = _is_finite(num_queries) and num_queries >= settings.min_total_queries
    all_finite = finite == 1.0
    differ = _is_finite(spread) and spread > 0
    verdicts = [
        Verdict(
            "num_queries", OVERALL, num_queries, float(settings.min_total_queries), measured,
            f"{_text(num_queries)} queries with a relevant item were measured" if measured
            else f"{_text(num_queries)} queries with a relevant item were measured, at least "
            f"{settings.min_total_queries} (gate.min_total_queries) must be: is the test split empty?",
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
    if (OVERALL, "label_spread") in table:
        label_spread = _row(table, "label_spread").value
        several = _is_finite(label_spread) and label_spread > 0
        reason = (
            "labels differ" if several else "all labels are the same, so nothing shows that the model tells them apart"
        )
        verdicts.append(Verdict("label_spread", OVERALL, label_spread, 0.0, several, reason))
    return verdicts


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
    reached = (
        _is_finite(row.value)
        and sign * (row.value - bound) >= 0
        and sign * (row.value - row.popularity) > _ROUNDING * abs(row.popularity)
    )
    reason = (
        f"popularity: {_text(row.value)} is {'' if reached else 'not '}better than popularity's {_text(row.popularity)}"
        f" by at least {lift:.2%}"
    )
    half = margin(row.lift_error, row.num_groups, settings.confidence)
    gain = _minus(row.value, row.popularity)
    surely = True
    # An error that is known not to be known, such as one user's alone, is no proof.
    if reached and gain is not None and row.lift_error is not None:
        surely = half is not None and sign * gain > half
        reason += f"; {_interval_text(gain, half)}" + ("" if surely else ", which noise explains")
    return [Verdict(name, OVERALL, row.value, bound, reached and surely, reason)]


def _regressions(table: _Table, settings: GateSettings) -> list[Verdict]:
    """Compare with the baseline; all comparisons share the probability of a false alarm."""
    overall, of_slices = [], []
    for regression in settings.regressions:
        for (slice_, name), row in table.items():
            if name != regression.metric or row.baseline is None:
                continue
            if slice_ == OVERALL:
                overall.append((row, regression.max_relative_loss))
            elif regression.max_relative_loss_per_slice is not None and _is_compared(table, row, settings):
                of_slices.append((row, regression.max_relative_loss_per_slice))
    # Only a loss alarms: an interval of confidence 1 - 2 a has a chance of a beyond its better end.
    return [
        _not_worse(row, max_loss, 1 - 2 * share * (1 - settings.confidence) / len(family))
        for family, share in ((overall, _OVERALL_SHARE), (of_slices, 1 - _OVERALL_SHARE))
        for row, max_loss in family
    ]


def _is_compared(table: _Table, row: MetricRow, settings: GateSettings) -> bool:
    """Return whether a slice is large enough, and the metric defined on it for at least one of the two models."""
    return _is_large(table, row.slice, settings) and (_is_finite(row.value) or _is_finite(row.baseline))


def _is_large(table: _Table, slice_: str, settings: GateSettings) -> bool:
    queries = table.get((slice_, "num_queries"))
    return queries is not None and _is_finite(queries.value) and queries.value >= settings.min_queries


def _not_worse(row: MetricRow, max_loss: float, confidence: float) -> Verdict:
    sign = _sign(row.name)
    if not _is_finite(row.baseline):
        reason = f"baseline: has no finite value, the candidate's is {_text(row.value)}"
        return Verdict(row.name, row.slice, row.value, None, _is_finite(row.value), reason)
    bound = row.baseline * (1 - sign * max_loss)
    difference = _minus(row.value, row.baseline)
    within = difference is not None and sign * (row.value or 0.0) >= sign * bound - _ROUNDING * abs(row.baseline)
    half = margin(row.difference_error, row.num_groups, confidence)
    noise = difference is not None and half is not None and sign * difference + half >= 0
    reason = (
        f"baseline: {_text(row.value)} is {'not worse' if within else 'worse'} than the blessed model's "
        f"{_text(row.baseline)} by more than {max_loss:.2%}"
    )
    if difference is not None and half is not None:
        reason += f"; {_interval_text(difference, half)}" + (", which noise explains" if noise and not within else "")
    return Verdict(row.name, row.slice, row.value, bound, within or noise, reason)


def _leaks(table: _Table, settings: GateSettings) -> list[Verdict]:
    """Refuse what is too good to be true: one verdict a metric that the gate names, on the slice nearest perfection."""
    named = [floor.metric for floor in settings.floors] + [entry.metric for entry in settings.regressions]
    named += [settings.popularity_metric] if settings.popularity_metric else []
    verdicts = []
    for metric in dict.fromkeys(named):
        best = perfect(metric)
        shares = [
            ((row.value - row.popularity) / (best - row.popularity), slice_)
            for (slice_, name), row in table.items()
            if name == metric and best is not None
            and (slice_ == OVERALL or _is_large(table, slice_, settings))
            and _is_finite(row.value) and _is_finite(row.popularity) and row.popularity != best
        ]  # fmt: skip
        if not shares:
            continue
        share, slice_ = max(shares)
        passed = share <= settings.max_gap_closed
        reason = (
            f"leak: closes {share:.1%} of the gap between popularity's {_text(table[slice_, metric].popularity)} and "
            f"perfection, {'believable' if passed else 'more'} up to {settings.max_gap_closed:.1%}"
        )
        if not passed:
            reason += f" is not believed: does a feature know the answer{'' if slice_ == OVERALL else ' there'}?"
        verdicts.append(Verdict(metric, slice_, share, settings.max_gap_closed, passed, reason))
    return verdicts


def _fairness(table: _Table, fairness: Fairness, settings: GateSettings) -> list[Verdict]:
    """Compare the best with the worst slice of a feature; pairs share the probability of a false alarm."""
    rows = [
        row
        for (slice_, name), row in table.items()
        if name == fairness.metric and features_of(slice_) == (fairness.feature,)
        and _is_large(table, slice_, settings) and _is_finite(row.value)
    ]  # fmt: skip
    rows.sort(key=lambda row: row.value or 0.0)
    if len(rows) < 2:
        reason = f"fairness: fewer than two slices of {fairness.feature} have {settings.min_queries} queries"
        return [Verdict(fairness.metric, fairness.feature, None, fairness.max_ratio, True, reason)]
    low, high = rows[0], rows[-1]
    small, large = low.value or 0.0, high.value or 0.0
    ratio = large / small if small > 0 else math.inf if large > small else 1.0
    confidence = 1 - (1 - settings.confidence) / math.comb(len(rows), 2)
    # Users of one slice are others than those of the other: errors add up.
    error = None if low.error is None or high.error is None else math.hypot(high.error, fairness.max_ratio * low.error)
    half = margin(error, min(low.num_groups or 0, high.num_groups or 0), confidence)
    excess = large - fairness.max_ratio * small
    passed = excess <= 0 or (half is not None and excess <= half)
    reason = (
        f"fairness: {_text(large)} on {high.slice} is {ratio:.3g} times {_text(small)} on {low.slice}, "
        f"{fairness.max_ratio:.3g} times is allowed" + (", which noise explains" if passed and excess > 0 else "")
    )
    worst = high if _sign(fairness.metric) < 0 else low
    return [Verdict(fairness.metric, worst.slice, ratio, fairness.max_ratio, passed, reason)]


def _row(table: _Table, name: str) -> MetricRow:
    return table.get((OVERALL, name), MetricRow(OVERALL, name))


def _sign(name: str) -> int:
    return -1 if better(name) is Better.LOWER else 1


def _minus(value: float | None, other: float | None) -> float | None:
    return value - other if _is_finite(value) and _is_finite(other) else None


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _interval_text(center: float, half: float | None) -> str:
    if half is None:
        return "how far they differ by chance is not known"
    return f"the difference lies in [{center - half:.3g}, {center + half:.3g}]"


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
