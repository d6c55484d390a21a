from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.metrics.counterfactual import Counterfactual
from tests.evaluation.combining import combine, extracts
from tests.evaluation.obp_golden import NUM_ROUNDS, TOP_K, logged_rounds

METRIC = Counterfactual(TOP_K, "liked", "propensity_score")
GOLDEN = Path(__file__).with_name("obp_golden.json")


@pytest.mark.parametrize("seed", [0, 1])
def test_estimates_agree_with_those_of_obp(seed):
    rounds = logged_rounds(seed)
    queries = [
        extracts(
            np.ones(len(rows)),
            {"liked": rounds.reward[rows], "propensity_score": rounds.propensity[rows]},
            rank=rounds.ranks[rows, rounds.actions[rows]],
        )
        for rows in np.array_split(np.arange(NUM_ROUNDS), 120)
    ]

    metrics = combine(METRIC, queries, ["rank"], seed=seed)

    expected = json.loads(GOLDEN.read_text())[str(seed)]
    assert {name: metrics[name, "", "rank"] for name in expected} == pytest.approx(expected, abs=1e-9)
    for k in TOP_K:
        weights = (rounds.ranks[np.arange(NUM_ROUNDS), rounds.actions] <= k) / k / rounds.propensity
        share = weights.sum() ** 2 / (NUM_ROUNDS * np.sum(weights**2))
        assert metrics[f"effective_share@{k}", "", "rank"] == pytest.approx(share, abs=1e-9)


def test_rows_without_a_propensity_are_left_out():
    query = extracts([1] * 4, {"liked": [1, 1, 0, 1], "propensity_score": [0.5, np.nan, 0.25, 0]}, rank=[1, 1, 2, 1])
    metrics = combine(METRIC, [query], ["rank"])

    assert metrics["ips@1", "", "rank"] == (1 / 0.5) / 2
    assert metrics["ips@3", "", "rank"] == pytest.approx((1 / 3 / 0.5) / 2)
    assert metrics["snips@3", "", "rank"] == pytest.approx((1 / 0.5) / (1 / 0.5 + 1 / 0.25))
    assert metrics["effective_share@1", "", "rank"] == 1 / 2
