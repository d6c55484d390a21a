from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.catalogue_ranking import CatalogueRanking
from evaluation.metrics.depth_curve import DEPTH, DepthCurve
from tests.evaluation.combining import combine, extracts


def test_curve_agrees_with_recall_and_precision_at_each_depth():
    rng = np.random.default_rng(0)
    outputs = ["rank", "popularity_rank"]
    queries = [extracts([0, 0], rank=[1, 2], popularity_rank=[1, 2])]
    for _ in range(30):
        labels = rng.permutation([1, *rng.integers(0, 2, rng.integers(0, 6))])
        queries.append(
            extracts(labels, **{o: rng.choice([*range(1, 80), np.nan], len(labels), False) for o in outputs})
        )
    curves = combine(DepthCurve(), queries, outputs)
    metrics = combine(CatalogueRanking(range(1, DEPTH + 1)), queries, outputs, seed=1)

    for output in outputs:
        queries_measured, recalls, precisions = curves["depth_curve", "", output]
        assert queries_measured.tolist() == [30] * DEPTH
        for k in range(1, DEPTH + 1):
            assert recalls[k - 1] / 30 == pytest.approx(metrics[f"recall@{k}", "", output], abs=1e-9)
            assert precisions[k - 1] / 30 == pytest.approx(metrics[f"precision@{k}", "", output], abs=1e-9)
