from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.intervals import NUM_GROUPS, group_of
from evaluation.metrics.catalogue_ranking import CatalogueRanking
from evaluation.metrics.classification import Classification
from evaluation.metrics.regression import Regression
from evaluation.metrics.row_ranking import RowRanking
from tests.evaluation.combining import combine

MODELS = ["candidate", "baseline"]


def test_users_spread_over_all_groups():
    counts = np.bincount([group_of(str(user).encode()) for user in range(20 * NUM_GROUPS)], minlength=NUM_GROUPS)

    assert counts.min() > 0
    assert counts.max() < 60


def _queries(rng: np.random.Generator, outputs: list[str]) -> list[dict]:
    """Return queries of both models, by users of seven groups of unequal size."""
    queries = []
    for _ in range(60):
        num_rows = rng.integers(3, 9)
        labels = rng.permutation([1.0, 0.0, *rng.integers(0, 2, num_rows - 2)])
        scores = {m: {o: rng.permutation(40)[:num_rows] / 40 for o in outputs} for m in MODELS}
        queries.append(
            {
                "labels": dict.fromkeys(MODELS, labels),
                "predictions": scores,
                "features": {"liked": labels, "user_group": np.full(num_rows, rng.integers(0, 7) ** 2)},
            }
        )
    return queries


def _rows(queries: list[dict], model: str, output: str) -> tuple[np.ndarray, np.ndarray]:
    labels = np.concatenate([query["labels"][model] for query in queries])
    return labels, np.concatenate([query["predictions"][model][output] for query in queries])


def _auc(queries: list[dict], model: str, output: str) -> float:
    return roc_auc_score(*_rows(queries, model, output))


def _rmse(queries: list[dict], model: str, output: str) -> float:
    labels, scores = _rows(queries, model, output)
    return float(np.sqrt(np.mean((labels - scores) ** 2)))


def _precision_at_2(queries: list[dict], model: str, output: str) -> float:
    return float(
        np.mean(
            [np.mean(query["labels"][model][np.argsort(-query["predictions"][model][output])[:2]]) for query in queries]
        )
    )


def _gauc(queries: list[dict], model: str, output: str) -> float:
    areas = [_auc([query], model, output) for query in queries]
    return float(np.average(areas, weights=[len(query["labels"][model]) for query in queries]))


def _jackknife(statistic: Callable[[list[dict]], float], queries: list[dict], size: Callable[[dict], int]) -> float:
    """Return the delete-m_j jackknife error as Busing et al. write it, by computing the statistic again and again."""
    sizes: dict[float, int] = defaultdict(int)
    for query in queries:
        sizes[query["features"]["user_group"][0]] += size(query)
    total, estimate, pseudo = sum(sizes.values()), statistic(queries), {}
    for group, m in sizes.items():
        left = statistic([query for query in queries if query["features"]["user_group"][0] != group])
        pseudo[group] = total / m * estimate - (total / m - 1) * left
    center = sum(sizes[group] / total * value for group, value in pseudo.items())
    terms = [(value - center) ** 2 / (total / sizes[group] - 1) for group, value in pseudo.items()]
    return float(np.sqrt(np.mean(terms)))


@pytest.mark.parametrize(
    ("metric", "name", "statistic", "by_rows"),
    [
        (RowRanking([2], "liked"), "precision{}@2", _precision_at_2, False),
        (RowRanking([2], "liked"), "gauc{}", _gauc, True),
        (Classification(), "auc{}", _auc, True),
        (Regression(), "rmse{}", _rmse, True),
    ],
)
def test_errors_and_those_of_paired_differences_agree_with_recomputing_without_each_group(
    metric, name, statistic, by_rows
):
    outputs = ["score", "popularity_score"]
    queries = _queries(np.random.default_rng(5), outputs)
    found = combine(metric, queries, outputs, MODELS, errors=True)

    def size(query: dict) -> int:
        return len(query["features"]["liked"]) if by_rows else 1

    def error(statistic: Callable[[list[dict]], float]) -> object:
        return pytest.approx(_jackknife(statistic, queries, size), rel=1e-9)

    own = ("candidate", "score")
    for model in MODELS:
        for output in outputs:
            assert found[name.format(""), model, output] == pytest.approx(statistic(queries, model, output), abs=1e-9)
            expected = error(lambda some, m=model, o=output: statistic(some, m, o))
            assert found[(name.format(".error"), model, output)] == expected
    assert found[(name.format(".num_groups"), *own)] == 7
    assert found[(name.format(".difference_error"), *own)] == error(
        lambda some: statistic(some, *own) - statistic(some, "baseline", "score")
    )
    assert found[(name.format(".lift_error"), *own)] == error(
        lambda some: statistic(some, *own) - statistic(some, "candidate", "popularity_score")
    )


def test_one_group_of_users_has_no_error():
    query = {"labels": np.ones(2), "predictions": {"rank": np.array([1.0, 3.0])}, "features": {}}

    assert np.isnan(combine(CatalogueRanking([2]), [query, query], ["rank"], errors=True)["ndcg.error@2", "", "rank"])
