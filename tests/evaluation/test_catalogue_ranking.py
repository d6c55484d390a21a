from __future__ import annotations

from math import log2

import numpy as np
import pytest

from evaluation.metric_table import QUERY_COUNTS
from evaluation.metrics.catalogue_ranking import CatalogueRanking
from tests.evaluation.combining import combine, extracts


def test_values_by_hand():
    # Relevant items at ranks 2 and 9; the row at rank 1 is not relevant.
    query = extracts([1, 0, 1], rank=[9, 1, 2], popularity_rank=[1, 2, 7])
    metrics = combine(CatalogueRanking([5, 10]), [query], ["rank", "popularity_rank"])

    ideal = 1 / log2(2) + 1 / log2(3)
    expected = {
        "ndcg@5": (1 / log2(3)) / ideal,
        "ndcg@10": (1 / log2(3) + 1 / log2(10)) / ideal,
        "recall@5": 1 / 2,
        "recall@10": 2 / 2,
        "precision@5": 1 / 5,
        "precision@10": 2 / 10,
        "hit_rate@5": 1,
        "hit_rate@10": 1,
        "mrr@5": 1 / 2,
        "mrr@10": 1 / 2,
        "map@5": (1 / 2) / 2,
        "map@10": (1 / 2 + 2 / 9) / 2,
        "serendipity@5": 1 / 5,  # rank 2, which popularity has at 7
        "serendipity@10": 0,
        "r_precision": 1 / 2,
        "num_queries": 1,
        "num_queries_without_relevant": 0,
        "num_short_queries": 0,
        "num_repeated_items": 0,
    }
    own = {name: value for (name, _, output), value in metrics.items() if output == "rank"}
    assert own == {name: pytest.approx(value, abs=1e-12) for name, value in expected.items()}
    assert metrics["serendipity@5", "", "popularity_rank"] == 0


def test_ideal_stops_at_k():
    # Three relevant items, k = 2: the best that two places can give is a perfect score.
    metrics = combine(CatalogueRanking([2]), [extracts([1, 1, 1], rank=[1, 2, 50])], ["rank"])

    assert metrics["ndcg@2", "", "rank"] == pytest.approx(1)
    assert metrics["map@2", "", "rank"] == pytest.approx(1)
    assert metrics["recall@2", "", "rank"] == pytest.approx(2 / 3)


def test_queries_without_relevant_rows_are_counted_and_left_out():
    queries = [extracts([1], rank=[1]), extracts([0, 0], rank=[1, 2])]
    metrics = combine(CatalogueRanking([1]), queries, ["rank"])

    assert metrics["recall@1", "", "rank"] == 1
    assert metrics["num_queries", "", "rank"] == 1
    assert metrics["num_queries_without_relevant", "", "rank"] == 1


def test_short_lists_and_repeated_items_are_counted():
    queries = [
        extracts([1], {"recommended_places": [[4, 2, -1]], "num_repeated_items": 2}, rank=[1]),
        extracts([1], {"recommended_places": [[4, 2, 0]], "num_repeated_items": 1}, rank=[3]),
        extracts([0], {"recommended_places": [[-1, -1, -1]]}, rank=[1]),
    ]
    counts = {
        k: [combine(CatalogueRanking([1, k]), queries, ["rank"])[name, "", "rank"] for name in QUERY_COUNTS]
        for k in (2, 3, 9)
    }

    assert counts == {2: [2, 1, 0, 3], 3: [2, 1, 1, 3], 9: [2, 1, 1, 3]}


def test_no_queries_are_not_a_number():
    metrics = combine(CatalogueRanking([1]), [extracts([0], rank=[1])], ["rank"])

    assert np.isnan(metrics["ndcg@1", "", "rank"])


@pytest.mark.parametrize("rank", [np.nan, np.inf])
def test_rank_that_is_not_finite_is_a_miss(rank):
    metrics = combine(CatalogueRanking([10]), [extracts([1], rank=[rank])], ["rank"])

    assert {metrics[f"{name}@10", "", "rank"] for name in ("ndcg", "recall", "mrr", "map", "hit_rate")} == {0}


def _plain(ranks: list[int], popularity: list[int], ratings: list[tuple[int, float]], k: int) -> dict[str, float]:
    """Walk down the list of k places, as one reads the definitions; `ratings` are (rank, rating) of all rows."""
    serendipity = sum(r <= k < q for r, q in zip(ranks, popularity, strict=True)) / k
    ranks = sorted(ranks)
    dcg = hits = precisions = reciprocal = 0.0
    for place in range(1, k + 1):
        if place in ranks:
            hits += 1
            dcg += 1 / log2(1 + place)
            precisions += hits / place
            reciprocal = reciprocal or 1 / place
    best = min(k, len(ranks))
    return {
        "ndcg": dcg / sum(1 / log2(1 + place) for place in range(1, best + 1)),
        "recall": hits / len(ranks),
        "precision": hits / k,
        "hit_rate": float(hits > 0),
        "mrr": reciprocal,
        "map": precisions / best,
        "serendipity": serendipity,
        **_ndcg_by_rating(ratings, k),
    }


def _ndcg_by_rating(ratings: list[tuple[int, float]], k: int) -> dict[str, float]:
    values = {}
    for name, threshold in (("normal", 3), ("strict", 4.5)):
        for kind, worth in (("ndcg", lambda _: 1.0), ("graded_ndcg", lambda rating: 2**rating - 1)):
            by_rank = {rank: worth(rating) for rank, rating in ratings if rating >= threshold}
            if by_rank:
                dcg = sum(by_rank.get(place, 0) / log2(1 + place) for place in range(1, k + 1))
                ideal = sorted(by_rank.values(), reverse=True)[:k]
                values[f"{kind}_{name}"] = dcg / sum(gain / log2(2 + i) for i, gain in enumerate(ideal))
    return values


@pytest.mark.parametrize("seed", range(3))
def test_random_queries_agree_with_plain_python_for_every_model_and_output(seed):
    rng = np.random.default_rng(seed)
    outputs, model_names, top_k = ["rank", "popularity_rank"], ["candidate", "baseline"], [1, 3, 10, 40]
    queries, expected = [], {}
    for _ in range(50):
        num_rows = rng.integers(1, 12)
        labels = rng.integers(0, 2, num_rows)
        ratings = rng.integers(1, 11, num_rows) / 2
        ranks = {(m, o): rng.choice(60, num_rows, replace=False) + 1 for m in model_names for o in outputs}
        queries.append(
            {
                "labels": {m: labels.astype(float) for m in model_names},
                "predictions": {m: {o: ranks[m, o].astype(float) for o in outputs} for m in model_names},
                "features": {"rating": ratings},
            }
        )
        if labels.any():
            for (model, output), values in ranks.items():
                for k in top_k:
                    popularity = ranks[model, "popularity_rank"][labels > 0].tolist()
                    by_rating = list(zip(values.tolist(), ratings.tolist(), strict=True))
                    for name, value in _plain(values[labels > 0].tolist(), popularity, by_rating, k).items():
                        expected.setdefault((f"{name}@{k}", model, output), []).append(value)
                num_relevant = int(labels.sum())
                r_precision = sum(rank <= num_relevant for rank in values[labels > 0]) / num_relevant
                expected.setdefault(("r_precision", model, output), []).append(r_precision)

    metrics = combine(CatalogueRanking(top_k, [3, 4.5]), queries, outputs, model_names, seed)

    assert {key: metrics[key] for key in expected} == {
        key: pytest.approx(np.mean(values), abs=1e-9) for key, values in expected.items()
    }
    assert metrics["num_queries", "baseline", "rank"] == len(expected["ndcg@1", "baseline", "rank"])
