from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.score_health import ScoreHealth
from tests.evaluation.combining import combine, extracts


def _names(metrics: dict) -> dict[str, float]:
    return {name: value for (name, _, _), value in metrics.items()}


def test_catalogue_scores():
    queries = [
        extracts([1, 1], rank=[1, 2], finite=[1, 1], spread=[0.5, 2.5]),
        extracts([1, 1], rank=[3, 4], finite=[0, 1], spread=[np.nan, 1.5]),
    ]

    assert _names(combine(ScoreHealth(True), queries, ["rank"])) == {"finite": 3 / 4, "spread": 2.5, "num_examples": 4}


def test_scores_of_rows():
    queries = [
        extracts([1, 1], score=[0.4, 0.1], finite=[1, 1], spread=[0, 0]),
        extracts([1], score=[0.9], finite=[1], spread=[0]),
    ]
    metrics = _names(combine(ScoreHealth(False), queries, ["score"]))

    assert metrics == {"finite": 1, "spread": pytest.approx(0.9 - 0.1), "num_examples": 3, "label_spread": 0}


def test_constant_scores_have_no_spread():
    queries = [extracts([1], score=[0.4], finite=[1], spread=[0]) for _ in range(3)]

    assert _names(combine(ScoreHealth(False), queries, ["score"]))["spread"] == 0


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_score_that_is_not_finite_counts_although_the_model_says_it_is(score):
    queries = [extracts([1, 1], score=[score, 0.2], finite=[1, 1], spread=[0, 0])]
    metrics = _names(combine(ScoreHealth(False), queries, ["score"]))

    assert metrics == {"finite": 1 / 2, "spread": 0, "num_examples": 2, "label_spread": 0}


def test_spread_of_labels():
    queries = [extracts([4, 2], score=[1, 2], finite=[1, 1], spread=[0, 0])]
    queries.append(extracts([5], score=[1], finite=[1], spread=[0]))

    assert _names(combine(ScoreHealth(False), queries, ["score"]))["label_spread"] == 5 - 2


def test_nothing_finite_has_no_spread():
    queries = [extracts([1], rank=[9], finite=[0], spread=[np.nan])]
    metrics = _names(combine(ScoreHealth(True), queries, ["rank"]))

    assert metrics["finite"] == 0
    assert np.isnan(metrics["spread"])
