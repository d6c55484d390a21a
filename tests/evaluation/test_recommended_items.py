from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import log, log2, sqrt

import numpy as np
import pytest

from evaluation import item_table
from evaluation.metrics.exposure import Exposure
from evaluation.metrics.recommended_items import RecommendedItems
from tests.evaluation.combining import combine

MODELS = ["candidate", "baseline"]
TITLES, COUNTS = [b"A", b"B", b"C", b"D"], [6, 3, 1, 0]
GENRES = [[b"Drama"], [b"Drama", b"War"], [b"War"], []]


@pytest.fixture(scope="module")
def items_path(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("items") / "items.npz")
    item_table.make([b"a", b"b", b"c", b"d"], TITLES, COUNTS, GENRES).save(path)
    return path


def _query(lists: list[list[int]], history: list[int] = (), group: int = 0) -> dict:
    return {
        "labels": np.ones(1),
        "predictions": {},
        "features": {
            "user_group": np.array([group]),
            "recommended_places": np.array(lists, np.int32),
            "history_places": np.array(history, np.int32),
        },
    }


def _of_candidate(metrics: dict) -> dict[str, float]:
    return {name: value for (name, model, _), value in metrics.items() if model == "candidate"}


def test_values_by_hand(items_path):
    # Recommends B (Drama, War), then C (War); has seen A and B; the baseline recommends C, then B.
    query = _query([[1, 2], [2, 1]], history=[0, 1])
    metrics = _of_candidate(combine(RecommendedItems([1, 2], items_path), [query], ["rank"], MODELS))

    drama, war, offered = 3 / 4, 1 / 4, (1 / 4, 3 / 4)
    expected = {
        "mean_popularity@1": 3,
        "mean_popularity@2": (3 + 1) / 2,
        "popularity_lift@1": (3 - 4.5) / 4.5,
        "popularity_lift@2": (2 - 4.5) / 4.5,
        "novelty@1": -log2(4 / 14),
        "novelty@2": (-log2(4 / 14) - log2(2 / 14)) / 2,
        "diversity@1": np.nan,  # no pair
        "diversity@2": 1 - 1 / sqrt(2),
        "category_divergence@1": drama * log(drama / (0.99 / 2 + 0.01 * drama))
        + war * log(war / (0.99 / 2 + 0.01 * war)),
        "category_divergence@2": drama * log(drama / (0.99 * offered[0] + 0.01 * drama))
        + war * log(war / (0.99 * offered[1] + 0.01 * war)),
        "rank_biased_overlap@1": 0,
        "rank_biased_overlap@2": (0 / 1 + 0.9 * 2 / 2) / (1 + 0.9),
    }
    assert metrics == {name: pytest.approx(value, abs=1e-7, nan_ok=True) for name, value in expected.items()}


def test_what_is_not_defined_is_left_out_of_the_mean(items_path):
    # An empty list; a user without a history; an item that the table does not hold, and no category.
    queries = [_query([[-1, -1]], [0]), _query([[0, -1]]), _query([[4, 3]], [3])]
    metrics = combine(RecommendedItems([2], items_path), queries, ["rank"])

    assert metrics["mean_popularity@2", "", "rank"] == (6 + 0) / 2
    assert metrics["diversity@2", "", "rank"] == 1
    for name in ("popularity_lift@2", "category_divergence@2", "rank_biased_overlap@2"):
        assert np.isnan(metrics[name, "", "rank"])


def _plain(places: list[int], history: list[int], baseline: list[int], table, k: int) -> dict[str, float]:
    """Compute what the definitions say, item by item."""
    shown = [place for place in places if place >= 0][:k]
    others = [place for place in baseline if place >= 0]
    mean = np.mean([table.counts[i] for i in shown])
    values = {"mean_popularity": mean}
    usual = np.mean([table.counts[i] for i in history]) if history else 0
    if usual:
        values["popularity_lift"] = (mean - usual) / usual
    values["novelty"] = np.mean([-log2((table.counts[i] + 1) / (sum(table.counts) + len(table))) for i in shown])

    def cosine(i: int, j: int) -> float:
        a, b = table.categories[i].astype(float), table.categories[j].astype(float)
        return a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) if a.any() and b.any() else 0

    if len(shown) > 1:
        values["diversity"] = np.mean([1 - cosine(i, j) for i, j in combinations(shown, 2)])
    p = sum((table.categories[i].astype(float) for i in history), np.zeros(table.categories.shape[1]))
    q = sum((table.categories[i].astype(float) for i in shown), np.zeros(table.categories.shape[1]))
    if p.any() and q.any():
        p, q = p / p.sum(), q / q.sum()
        values["category_divergence"] = sum(a * log(a / (0.99 * b + 0.01 * a)) for a, b in zip(p, q, strict=True) if a)
    agreed = [0.9 ** (d - 1) * len({*shown[:d]} & {*others[:d]}) / d for d in range(1, k + 1)]
    values["rank_biased_overlap"] = sum(agreed) / sum(0.9 ** (d - 1) for d in range(1, k + 1))
    return values


def _gini(counts: np.ndarray) -> float:
    """Return half the mean absolute difference over the mean."""
    return float(np.abs(counts[:, None] - counts).mean() / (2 * counts.mean()))


@pytest.mark.parametrize("seed", range(2))
def test_random_lists_agree_with_plain_python(seed, tmp_path):
    rng = np.random.default_rng(seed)
    genres = [[b"g%d" % g for g in rng.choice(6, rng.integers(0, 4), replace=False)] for _ in range(30)]
    ids = [b"%d" % i for i in range(30)]
    table = item_table.make(ids, ids, rng.integers(0, 50, 30).tolist(), genres)
    path = str(tmp_path / "items.npz")
    table.save(path)
    top_k, queries, expected, shown = [1, 4, 12], [], {}, Counter()
    for _ in range(60):
        # 30 is an item that the table does not hold, -1 fills up lists that end early.
        lists = [[*rng.permutation(31)[: rng.integers(1, 13)], *[-1] * 12][:12] for _ in MODELS]
        history = rng.choice(31, rng.integers(0, 8)).tolist()
        queries.append(_query(lists, history, int(rng.integers(0, 5))))
        for model, places in zip(MODELS, lists, strict=True):
            for k in top_k:
                shown.update((model, k, place) for place in places[:k] if 0 <= place < 30)
                for name, value in _plain(places, history, lists[1], table, k).items():
                    expected.setdefault((f"{name}@{k}", model, "rank"), []).append(value)

    metrics = combine(RecommendedItems(top_k, path), queries, ["rank"], MODELS, seed)
    assert {key: metrics[key] for key in expected} == {
        key: pytest.approx(np.mean(values), abs=1e-9) for key, values in expected.items()
    }

    exposure = combine(Exposure(top_k, 30), queries, ["rank"], MODELS, seed)
    for model in MODELS:
        for k in top_k:
            counts = np.array([shown[model, k, place] for place in range(30)])
            assert exposure[f"coverage@{k}", model, "rank"] == pytest.approx(np.mean(counts > 0), abs=1e-9)
            assert exposure[f"exposure_gini@{k}", model, "rank"] == pytest.approx(_gini(counts), abs=1e-9)


def test_no_list_has_no_exposure():
    assert np.isnan(list(combine(Exposure([2], 5), [], ["rank"]).values())).all()
    assert np.isnan(list(combine(Exposure([2], 5), [_query([[-1, -1]])], ["rank"]).values())).all()
