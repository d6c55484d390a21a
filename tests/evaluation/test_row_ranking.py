from __future__ import annotations

from itertools import permutations
from math import log2

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from evaluation.metrics.row_ranking import RowRanking, ranking_values
from tests.evaluation.combining import combine, extracts


def test_values_by_hand():
    # By score: relevant, not, relevant.
    query = extracts([0, 0, 0], {"liked": [1, 1, 0]}, score=[0.9, 0.1, 0.5])
    metrics = combine(RowRanking([2, 5], "liked"), [query], ["score"])

    ideal = 1 / log2(2) + 1 / log2(3)
    assert metrics["ndcg@2", "", "score"] == pytest.approx((1 / log2(2)) / ideal)
    assert metrics["ndcg@5", "", "score"] == pytest.approx((1 / log2(2) + 1 / log2(4)) / ideal)
    assert metrics["precision@2", "", "score"] == pytest.approx(1 / 2)
    assert metrics["precision@5", "", "score"] == pytest.approx(2 / 5)


def test_ties_are_the_mean_over_all_orders():
    scores = np.array([0.7, 0.4, 0.4, 0.4, 0.1])
    relevant = np.array([False, True, False, True, True])
    top_k = [1, 2, 3, 4]

    orders = [
        (row[0], *(row[1:4][i] for i in order), row[4])
        for row in [range(5)]
        for order in permutations(range(3))
    ]  # fmt: skip
    ideal = [sum(1 / log2(1 + j) for j in range(1, min(k, 3) + 1)) for k in top_k]
    ndcg = np.mean(
        [
            [sum(relevant[o[j]] / log2(2 + j) for j in range(k)) / best for k, best in zip(top_k, ideal, strict=True)]
            for o in orders
        ],
        axis=0,
    )
    precision = np.mean([[sum(relevant[o[j]] for j in range(k)) / k for k in top_k] for o in orders], axis=0)

    np.testing.assert_allclose(ranking_values(scores, relevant, top_k), [ndcg, precision], atol=1e-12)


def test_queries_without_relevant_rows_are_counted_and_left_out():
    queries = [extracts([0], {"liked": [1]}, score=[0.3]), extracts([0], {"liked": [0]}, score=[0.3])]
    metrics = combine(RowRanking([1], "liked"), queries, ["score"])

    assert metrics["precision@1", "", "score"] == 1
    assert metrics["num_queries", "", "score"] == 1
    assert metrics["num_queries_without_relevant", "", "score"] == 1


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_score_that_is_not_finite_makes_no_number(score):
    metrics = combine(RowRanking([1], "liked"), [extracts([0, 0], {"liked": [1, 0]}, score=[score, 1])], ["score"])

    assert np.isnan(metrics["ndcg@1", "", "score"])
    assert np.isnan(metrics["precision@1", "", "score"])


@pytest.mark.parametrize("seed", range(3))
def test_random_queries_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    outputs, top_k = ["score", "popularity_score"], [1, 5, 30]
    queries, expected = [], {}
    for _ in range(40):
        num_rows = rng.integers(2, 20)
        liked = rng.integers(0, 2, num_rows)
        scores = {output: rng.integers(0, 8, num_rows) / 8 for output in outputs}  # many ties
        queries.append(extracts(np.zeros(num_rows), {"liked": liked}, **scores))
        for output, values in scores.items():
            for k in top_k if liked.any() else []:
                expected.setdefault((f"ndcg@{k}", "", output), []).append(ndcg_score([liked], [values], k=k))

    metrics = combine(RowRanking(top_k, "liked"), queries, outputs, seed=seed)

    assert {key: metrics[key] for key in expected} == {
        key: pytest.approx(np.mean(values), abs=1e-9) for key, values in expected.items()
    }
