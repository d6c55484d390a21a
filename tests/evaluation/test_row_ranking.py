from __future__ import annotations

from itertools import permutations
from math import log2

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

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

    values = ranking_values(scores, relevant, top_k)
    np.testing.assert_allclose(values[:8], [*ndcg, *precision], atol=1e-12)
    # R-precision is the precision at 3; of the 6 pairs 1 is won, and 2 are tied.
    np.testing.assert_allclose(values[-2:], [precision[2], (1 + 2 / 2 - 1) / 6], atol=1e-12)


def test_queries_without_relevant_rows_are_counted_and_left_out():
    queries = [extracts([0], {"liked": [1]}, score=[0.3]), extracts([0], {"liked": [0]}, score=[0.3])]
    metrics = combine(RowRanking([1], "liked"), queries, ["score"])

    assert metrics["precision@1", "", "score"] == 1
    assert metrics["num_queries", "", "score"] == 1
    assert metrics["num_queries_without_relevant", "", "score"] == 1


def test_queries_with_fewer_rows_than_k_and_repeated_items_are_counted():
    queries = [extracts([0, 0], {"liked": [1, 0], "num_repeated_items": 1}, score=[0.3, 0.1])]
    queries.append(extracts([0, 0, 0], {"liked": [1, 0, 1]}, score=[0.3, 0.1, 0.2]))
    metrics = combine(RowRanking([1, 3], "liked"), queries, ["score"])

    assert metrics["num_short_queries", "", "score"] == 1
    assert metrics["num_repeated_items", "", "score"] == 1
    assert metrics["precision@3", "", "score"] == pytest.approx((1 / 3 + 2 / 3) / 2)


def test_auc_of_a_user_counts_by_rows_and_only_with_both_classes():
    queries = [
        extracts([0, 0], {"liked": [1, 0]}, score=[0.9, 0.1]),  # AUC 1, 2 rows
        extracts([0, 0, 0], {"liked": [1, 0, 0]}, score=[0.2, 0.1, 0.3]),  # AUC 1/2, 3 rows
        extracts([0, 0], {"liked": [1, 1]}, score=[0.2, 0.1]),
    ]
    metrics = combine(RowRanking([1], "liked"), queries, ["score"])

    assert metrics["gauc", "", "score"] == pytest.approx((2 * 1 + 3 / 2) / 5)
    assert metrics["r_precision", "", "score"] == pytest.approx((1 + 0 + 1) / 3)
    assert metrics["recall@1", "", "score"] == pytest.approx((1 + 0 + 1 / 2) / 3)


def test_score_that_is_not_finite_is_not_hidden_where_a_metric_is_not_defined():
    queries = [extracts([0, 0], {"liked": [1, 1], "rating": [1, 1]}, score=[np.nan, 1])]
    queries.append(extracts([0, 0], {"liked": [1, 0], "rating": [5, 1]}, score=[2, 1]))
    metrics = combine(RowRanking([1], "liked", [4, 5]), queries, ["score"])

    assert np.isnan(metrics["ndcg@1", "", "score"])
    assert metrics["gauc", "", "score"] == metrics["ndcg_strict@1", "", "score"] == 1


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_score_that_is_not_finite_makes_no_number(score):
    metrics = combine(RowRanking([1], "liked"), [extracts([0, 0], {"liked": [1, 0]}, score=[score, 1])], ["score"])

    assert np.isnan(metrics["ndcg@1", "", "score"])
    assert np.isnan(metrics["precision@1", "", "score"])


def _expected_hits(scores: np.ndarray, liked: np.ndarray, k: int) -> float:
    """Return how many liked rows stand among the first k, in the mean over all orders of rows with equal scores."""
    found = 0.0
    for score in scores[liked > 0]:
        room = (k - np.sum(scores > score)) / np.sum(scores == score)
        found += min(max(room, 0.0), 1.0)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_random_queries_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    outputs, top_k = ["score", "popularity_score"], [1, 5, 30]
    queries, expected, areas = [], {}, {}
    for _ in range(40):
        num_rows = rng.integers(2, 20)
        liked = rng.integers(0, 2, num_rows)
        scores = {output: rng.integers(0, 8, num_rows) / 8 for output in outputs}  # many ties
        ratings = rng.integers(1, 6, num_rows).astype(float)
        queries.append(extracts(np.zeros(num_rows), {"liked": liked, "rating": ratings}, **scores))
        for output, values in scores.items():
            for k in top_k if liked.any() else []:
                expected.setdefault((f"ndcg@{k}", "", output), []).append(ndcg_score([liked], [values], k=k))
                for name, threshold in (("normal", 3), ("strict", 5)):
                    reached = ratings >= threshold
                    for kind, gain in (("ndcg", reached * 1.0), ("graded_ndcg", reached * (2**ratings - 1))):
                        if reached.any():
                            value = ndcg_score([gain], [values], k=k)
                            expected.setdefault((f"{kind}_{name}@{k}", "", output), []).append(value)
                hits = _expected_hits(values, liked, k)
                expected.setdefault((f"precision@{k}", "", output), []).append(hits / k)
                expected.setdefault((f"recall@{k}", "", output), []).append(hits / liked.sum())
            if liked.any():
                hits = _expected_hits(values, liked, liked.sum())
                expected.setdefault(("r_precision", "", output), []).append(hits / liked.sum())
            if 0 < liked.sum() < num_rows:
                areas.setdefault(output, []).append((num_rows, roc_auc_score(liked, values)))

    metrics = combine(RowRanking(top_k, "liked", [3, 5]), queries, outputs, seed=seed)

    assert {key: metrics[key] for key in expected} == {
        key: pytest.approx(np.mean(values), abs=1e-9) for key, values in expected.items()
    }
    for output, found in areas.items():
        rows, values = zip(*found, strict=True)
        assert metrics["gauc", "", output] == pytest.approx(np.average(values, weights=rows), abs=1e-9)
