"""Every metric name of the Evaluator, and which way is better. Imports no framework, so settings may use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from models.registry import Task
from settings.evaluation import GateSettings


class Better(Enum):
    """Which way a metric improves."""

    HIGHER = "higher"
    LOWER = "lower"


# Metrics at a cut-off, over the full catalogue (retrieval) or over the logged rows of a user (ranking, rating).
_AT_K: dict[Task, tuple[str, ...]] = {
    "retrieval": ("ndcg", "recall", "precision", "hit_rate", "mrr", "map"),
    "ranking": ("ndcg", "precision"),
    "rating": ("ndcg", "precision"),
}
_PLAIN: dict[Task, tuple[str, ...]] = {
    "retrieval": (),
    "ranking": ("auc", "log_loss", "calibration"),
    "rating": ("rmse", "mae"),
}
COUNTS = ("num_queries", "num_queries_without_relevant", "num_examples", "finite", "spread")
# Calibration is best at 1 and the counts have no better side: they may have floors, but are compared with nothing.
_DIRECTION = {
    **dict.fromkeys(("ndcg", "recall", "precision", "hit_rate", "mrr", "map", "auc"), Better.HIGHER),
    **dict.fromkeys(("log_loss", "rmse", "mae"), Better.LOWER),
}


def metric_names(task: Task, top_k: Sequence[int]) -> tuple[str, ...]:
    """Return the names of all metrics that the Evaluator computes for a task, in the order of the reports.

    Args:
      task: the model's task.
      top_k: cut-offs, `evaluation.top_k`.

    Example:
      >>> metric_names("rating", [10])
      ('ndcg@10', 'precision@10', 'rmse', 'mae', 'num_queries', 'num_queries_without_relevant', 'num_examples', \
'finite', 'spread')
    """
    at_k = (f"{name}@{k}" for name in _AT_K[task] for k in sorted(set(top_k)))
    return (*at_k, *_PLAIN[task], *COUNTS)


def better(name: str) -> Better | None:
    """Return which way a metric improves; None for counts, calibration, `finite` and `spread`.

    Example:
      >>> better("ndcg@10"), better("rmse"), better("num_queries")
      (<Better.HIGHER: 'higher'>, <Better.LOWER: 'lower'>, None)
    """
    return _DIRECTION.get(name.partition("@")[0])


def check_gate(gate: GateSettings, task: Task, top_k: Sequence[int]) -> None:
    """Refuse a gate that names a metric which this task does not have, or a threshold without a bound.

    Raises:
      ValueError: with the key's path, the name found and the names expected.
    """
    names = metric_names(task, top_k)
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


def _check_name(place: str, name: str, expected: Iterable[str], task: Task) -> None:
    expected = list(expected)
    if name not in expected:
        raise ValueError(
            f"{place}: {name!r} is not measured for a {task} model with these evaluation.top_k, or has no better side. "
            f"Expected one of {', '.join(expected)}"
        )
