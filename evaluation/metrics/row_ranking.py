"""Ranking metrics of ranking and rating models, per query, over the logged rows of the query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.query_means import mean_over_queries

NAMES = ("ndcg", "precision")


class RowRanking(metric_types.Metric):
    """NDCG and precision at each k over the rows of a query, means over queries with at least one relevant row.

    The rows of a query are ordered by score, the highest first. With `rel_j` in {0, 1} at place j and `n` relevant
    rows:

        ndcg@k      = sum_{j=1}^k rel_j / log2(1 + j)  /  sum_{j=1}^{min(n, k)} 1 / log2(1 + j)
        precision@k = sum_{j=1}^k rel_j / k

    A query with fewer than k rows is divided by k all the same. Among equal scores every order is equally likely and
    the metric is its expectation (McSherry and Najork, ECIR 2008), so a constant score gets what chance gets and the
    value does not depend on the order of rows. A score that is not finite makes the query's values NaN.

    Args:
      top_k: cut-offs.
      relevance_key: feature that is positive where a row is relevant.
      name: name of the group; the metrics have the names above.

    Reference: https://doi.org/10.1007/978-3-540-78646-7_38
    """

    def __init__(self, top_k: Sequence[int], relevance_key: str, name: str = "row_ranking") -> None:
        super().__init__(_row_ranking, top_k=list(top_k), relevance_key=relevance_key, name=name)


metric_types.register_metric(RowRanking)


def ranking_values(scores: np.ndarray, relevant: np.ndarray, top_k: Sequence[int]) -> np.ndarray:
    """Return the metrics of one query.

    Args:
      scores: float64 `(num_rows,)`, higher is better.
      relevant: bool `(num_rows,)`, at least one True.
      top_k: cut-offs.

    Returns:
      float64 `(len(NAMES), len(top_k))`.

    Example:
      >>> ranking_values(np.array([0.5, 0.5, 0.1]), np.array([True, False, False]), [1])[1]
      array([0.5])
    """
    if not np.isfinite(scores).all():
        return np.full((len(NAMES), len(top_k)), np.nan)
    order = np.argsort(-scores, kind="stable")
    _, group, size = np.unique(-scores[order], return_inverse=True, return_counts=True)
    expected = (np.bincount(group, weights=relevant[order]) / size)[group]  # (num_rows,): relevance by place
    gains = np.cumsum(expected / np.log2(2 + np.arange(len(scores))))
    hits = np.cumsum(expected)
    ideal = np.cumsum(1 / np.log2(2 + np.arange(int(relevant.sum()))))
    ks = np.asarray(top_k)
    last = np.minimum(ks, len(scores)) - 1
    return np.stack([gains[last] / ideal[np.minimum(ks, len(ideal)) - 1], hits[last] / ks])


def _row_ranking(
    top_k: list[int],
    relevance_key: str,
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs, models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    return mean_over_queries(NAMES, top_k, models, outputs, _ScoredRows(models, outputs, top_k, relevance_key))


class _ScoredRows(metric_types.Preprocessor):
    """From the rows of a query to the vector of its metrics, once for all slices."""

    def __init__(
        self, model_names: Sequence[str], output_names: Sequence[str], top_k: Sequence[int], relevance_key: str
    ) -> None:
        super().__init__(name=f"scored_rows:{model_names}:{output_names}:{top_k}:{relevance_key}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)
        self._top_k = list(top_k)
        self._relevance_key = relevance_key

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray | None]:
        """Yield the metrics, or None where no row is relevant."""
        relevant = row_values.feature(extracts, self._relevance_key) > 0
        if not relevant.any():
            yield None
            return
        scores = row_values.outputs(extracts, self._model_names, self._output_names)
        yield np.concatenate([ranking_values(row, relevant, self._top_k).reshape(-1) for row in scores])
