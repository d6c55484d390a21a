from __future__ import annotations

from math import log

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from evaluation.metrics.classification import Classification
from tests.evaluation.combining import combine, extracts


def test_values_by_hand():
    # Pairs (positive, negative): 0.8 > 0.3 and 0.8 > 0.4 and 0.3 = 0.3 and 0.3 < 0.4.
    query = extracts([1, 1, 0, 0], score=[0.8, 0.3, 0.3, 0.4])
    metrics = combine(Classification(), [query], ["score"])

    assert metrics["auc", "", "score"] == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)
    assert metrics["log_loss", "", "score"] == pytest.approx(-(log(0.8) + log(0.3) + log(0.7) + log(0.6)) / 4)
    assert metrics["calibration", "", "score"] == pytest.approx(((0.8 + 0.3 + 0.3 + 0.4) / 4) / (2 / 4))


def test_one_class_has_no_auc():
    metrics = combine(Classification(), [extracts([0, 0], score=[0.2, 0.4])], ["score"])

    assert np.isnan(metrics["auc", "", "score"])
    assert np.isnan(metrics["calibration", "", "score"])
    assert metrics["log_loss", "", "score"] == pytest.approx(-(log(0.8) + log(0.6)) / 2)


@pytest.mark.parametrize("score", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_probability_makes_no_number(score):
    metrics = combine(Classification(), [extracts([1, 0], score=[score, 0.4])], ["score"])

    assert np.isnan(list(metrics.values())).all()


def test_no_rows_are_not_a_number():
    assert np.isnan(list(combine(Classification(), [], ["score"]).values())).all()


@pytest.mark.parametrize("seed", range(3))
def test_random_rows_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    outputs, model_names = ["score", "popularity_score"], ["candidate", "baseline"]
    labels = rng.integers(0, 2, 300).astype(float)
    scores = {(m, o): rng.integers(1, 40, 300) / 40 for m in model_names for o in outputs}
    queries = [
        {
            "labels": dict.fromkeys(model_names, labels[rows]),
            "predictions": {m: {o: scores[m, o][rows] for o in outputs} for m in model_names},
            "features": {},
        }
        for rows in np.array_split(np.arange(300), 23)
    ]

    metrics = combine(Classification(), queries, outputs, model_names, seed)

    for (model, output), values in scores.items():
        assert metrics["auc", model, output] == pytest.approx(roc_auc_score(labels, values), abs=1e-9)
        assert metrics["log_loss", model, output] == pytest.approx(
            log_loss(labels, np.clip(values, 1.1920929e-07, 1 - 1.1920929e-07)), abs=1e-9
        )
        assert metrics["calibration", model, output] == pytest.approx(values.mean() / labels.mean(), abs=1e-9)
