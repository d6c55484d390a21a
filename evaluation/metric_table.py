"""Every metric name of the Evaluator, and which way is better. Imports no framework, so settings may use it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from models.registry import Task
from settings.evaluation import LIST_LENGTH, EvaluationSettings, GateSettings


class Better(Enum):
    """Which way a metric improves."""

    HIGHER = "higher"
    LOWER = "lower"


# Metrics at a cut-off, over the full catalogue (retrieval) or over the logged rows of a user (ranking, rating).
_AT_K: dict[Task, tuple[str, ...]] = {
    "retrieval": ("ndcg", "recall", "precision", "hit_rate", "mrr", "map", "serendipity"),
    "ranking": ("ndcg", "precision", "recall"),
    "rating": ("ndcg", "precision", "recall"),
}
# Only with `evaluation.rating_thresholds`.
_BY_RATING = ("ndcg_normal", "ndcg_strict", "graded_ndcg_normal", "graded_ndcg_strict")
# Only with `evaluation.propensity_column`.
_COUNTERFACTUAL = ("ips", "snips", "doubly_robust", "effective_share")
# Of the recommended items themselves, for retrieval, up to the length of the list that the servable gives.
_OF_LISTS = (
    "coverage",
    "exposure_gini",
    "mean_popularity",
    "popularity_lift",
    "novelty",
    "diversity",
    "category_divergence",
    "rank_biased_overlap",
)
_PLAIN: dict[Task, tuple[str, ...]] = {
    "retrieval": ("r_precision",),
    "ranking": ("r_precision", "gauc", "auc", "log_loss", "calibration"),
    "rating": ("r_precision", "gauc", "rmse", "mae"),
}
# Queries that were measured, and how often one was out of the ordinary; see docs/evaluation.md.
QUERY_COUNTS = ("num_queries", "num_queries_without_relevant", "num_short_queries", "num_repeated_items")
COUNTS = (*QUERY_COUNTS, "num_examples", "finite", "spread", "label_spread")
# The value of a model that knows the answers. Precision and serendipity have none: it depends on the query.
_PERFECT = {
    **dict.fromkeys(("ndcg", *_BY_RATING, "recall", "hit_rate", "mrr", "map", "r_precision", "gauc", "auc"), 1.0),
    **dict.fromkeys(("log_loss", "rmse", "mae"), 0.0),
}
# Calibration is best at 1; of popularity, novelty and the like more is not better; the counts have no better side. All
# may have floors, but are compared with nothing.
_DIRECTION = {
    **{name: Better.HIGHER if value else Better.LOWER for name, value in _PERFECT.items()},
    **dict.fromkeys(("precision", "serendipity", "coverage", *_COUNTERFACTUAL[:-1]), Better.HIGHER),
    "category_divergence": Better.LOWER,
}


def metric_names(task: Task, settings: EvaluationSettings) -> tuple[str, ...]:
    """Return the names of all metrics that the Evaluator computes for a task, in the order of the reports.

    Example:
      >>> metric_names("rating", EvaluationSettings(top_k=[10]))
      ('ndcg@10', 'precision@10', 'recall@10', 'r_precision', 'gauc', 'rmse', 'mae', 'num_queries', \
'num_queries_without_relevant', 'num_short_queries', 'num_repeated_items', 'num_examples', 'finite', 'spread', \
'label_spread')
    """
    names = _AT_K[task] + (_BY_RATING if settings.rating_thresholds else ())
    if task == "retrieval" and settings.propensity_column:
        names += _COUNTERFACTUAL
    at_k = tuple(f"{name}@{k}" for name in names for k in sorted(set(settings.top_k)))
    if task == "retrieval":
        # All its rows are what users chose: their labels need not differ.
        of_lists = tuple(f"{name}@{k}" for name in _OF_LISTS for k in list_cutoffs(settings))
        return (*at_k, *_PLAIN[task], *of_lists, *COUNTS[:-1])
    return (*at_k, *_PLAIN[task], *COUNTS)


def list_cutoffs(settings: EvaluationSettings) -> list[int]:
    """Return the cut-offs at which recommended items are looked at: those that their list is long enough for."""
    return [k for k in sorted(set(settings.top_k)) if k <= LIST_LENGTH]


def better(name: str) -> Better | None:
    """Return which way a metric improves; None for counts, calibration, `finite` and `spread`.

    Example:
      >>> better("ndcg@10"), better("rmse"), better("num_queries")
      (<Better.HIGHER: 'higher'>, <Better.LOWER: 'lower'>, None)
    """
    return _DIRECTION.get(name.partition("@")[0])


def perfect(name: str) -> float | None:
    """Return the value of a model that knows the answers; None where there is none that holds for every query.

    Example:
      >>> perfect("ndcg@10"), perfect("rmse"), perfect("precision@10")
      (1.0, 0.0, None)
    """
    return _PERFECT.get(name.partition("@")[0])


def check_gate(gate: GateSettings, task: Task, evaluation: EvaluationSettings) -> None:
    """Refuse a gate that names a metric which this task does not have, or a threshold without a bound.

    Raises:
      ValueError: with the key's path, the name found and the names expected.
    """
    names = metric_names(task, evaluation)
    comparable = [name for name in names if better(name)]
    for index, floor in enumerate(gate.floors):
        place = f"gate.floors.{index}"
        _check_name(f"{place}.metric", floor.metric, names, task)
        if floor.at_least is None and floor.at_most is None:
            raise ValueError(f"{place}: has no bound. Expected at_least, at_most or both")
    if gate.popularity_metric is not None:
        _check_name("gate.popularity_metric", gate.popularity_metric, comparable, task)
    for index, regression in enumerate(gate.regressions):
        _check_name(f"gate.regressions.{index}.metric", regression.metric, comparable, task)
    features = {slices.feature for slices in evaluation.slices}
    for index, fairness in enumerate(gate.fairness):
        _check_name(f"gate.fairness.{index}.metric", fairness.metric, comparable, task)
        if fairness.feature not in features:
            raise ValueError(
                f"gate.fairness.{index}.feature: {fairness.feature!r} is not sliced by. "
                f"Expected one of evaluation.slices: {', '.join(sorted(features)) or 'none yet'}"
            )


def _check_name(place: str, name: str, expected: Iterable[str], task: Task) -> None:
    expected = list(expected)
    if name not in expected:
        raise ValueError(
            f"{place}: {name!r} is not measured for a {task} model with these settings, or has no better side. "
            f"Expected one of {', '.join(expected)}"
        )
