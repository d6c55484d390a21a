from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from evaluation.metrics.regression import Regression
from tests.evaluation.combining import combine, extracts


def test_values_by_hand():
    metrics = combine(Regression(), [extracts([4, 2], score=[3, 2]), extracts([5], score=[3])], ["score"])

    assert metrics["rmse", "", "score"] == pytest.approx(sqrt((1 + 0 + 4) / 3))
    assert metrics["mae", "", "score"] == pytest.approx((1 + 0 + 2) / 3)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_prediction_that_is_not_finite_makes_no_finite_error(score):
    metrics = combine(Regression(), [extracts([4, 2], score=[score, 2])], ["score"])

    assert not np.isfinite(list(metrics.values())).any()


def test_no_rows_are_not_a_number():
    assert np.isnan(list(combine(Regression(), [], ["score"]).values())).all()


@pytest.mark.parametrize("seed", range(3))
def test_random_rows_agree_with_numpy(seed):
    rng = np.random.default_rng(seed)
    labels = rng.uniform(1, 5, 200)
    scores = {output: rng.uniform(1, 5, 200) for output in ("score", "popularity_score")}
    queries = [
        extracts(labels[rows], **{output: values[rows] for output, values in scores.items()})
        for rows in np.array_split(np.arange(200), 17)
    ]

    metrics = combine(Regression(), queries, list(scores), seed=seed)

    for output, values in scores.items():
        assert metrics["rmse", "", output] == pytest.approx(sqrt(np.mean((values - labels) ** 2)), abs=1e-9)
        assert metrics["mae", "", output] == pytest.approx(np.mean(np.abs(values - labels)), abs=1e-9)
