"""Ranking metrics of ranking and rating models, per query, over the logged rows of the query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import gains, row_values
from evaluation.metrics.classification import area_under_curve
from evaluation.metrics.estimates import Estimates
from evaluation.metrics.query_means import QueryValues, mean_over_queries

NAMES_AT_K = ("ndcg", "precision", "recall")
NAMES = ("r_precision", "gauc")


class RowRanking(metric_types.Metric):
    """Ranking metrics at each k, R-precision and per-user AUC, means over queries with at least one relevant row.

    The rows of a query are ordered by score, the highest first. With `rel_j` in {0, 1} at place j and `n` relevant
    rows:

        ndcg@k      = sum_{j=1}^k rel_j / log2(1 + j)  /  sum_{j=1}^{min(n, k)} 1 / log2(1 + j)
        precision@k = sum_{j=1}^k rel_j / k
        recall@k    = sum_{j=1}^k rel_j / n
        r_precision = sum_{j=1}^n rel_j / n
        gauc        = sum_q m_q * AUC_q / sum_q m_q, over the queries q with rows of both classes; m_q: their rows

    With `rating_thresholds` also NDCG by rating, defined where a row reaches the threshold; `g_j` is 1 (`ndcg_normal`,
    `ndcg_strict`) or `2^rating - 1` (`graded_ndcg_...`) where the rating reaches it, else 0:

        ndcg_normal@k = sum_{j=1}^k g_j / log2(1 + j)  /  the same of the best order

    A query with fewer than k rows is divided by k all the same. Among equal scores every order is equally likely and
    the metric is its expectation (McSherry and Najork, ECIR 2008), so a constant score gets what chance gets and the
    value does not depend on the order of rows. A score that is not finite makes the query's values NaN.

    Args:
      top_k: cut-offs.
      relevance_key: feature that is positive where a row is relevant.
      rating_thresholds: the normal and the strict one; empty: no NDCG by rating.
      rating_key: feature that holds the rating.
      name: name of the group; the metrics have the names above.

    Reference: https://doi.org/10.1007/978-3-540-78646-7_38; gauc: Zhu et al., KDD 2017, https://arxiv.org/abs/1703.02091
    """

    def __init__(
        self,
        top_k: Sequence[int],
        relevance_key: str,
        rating_thresholds: Sequence[float] = (),
        rating_key: str = "rating",
        name: str = "row_ranking",
    ) -> None:
        super().__init__(
            _row_ranking,
            top_k=list(top_k),
            relevance_key=relevance_key,
            rating_thresholds=list(rating_thresholds),
            rating_key=rating_key,
            name=name,
        )


metric_types.register_metric(RowRanking)


def ranking_values(
    scores: np.ndarray, relevant: np.ndarray, top_k: Sequence[int], gained: np.ndarray | None = None
) -> np.ndarray:
    """Return the metrics of one query.

    Args:
      scores: float64 `(num_rows,)`, higher is better.
      relevant: bool `(num_rows,)`, at least one True.
      top_k: cut-offs.
      gained: float64 `(num_gains, num_rows)`, see `gains.rating_gains`; None: no NDCG by rating.

    Returns:
      float64 `((len(NAMES_AT_K) + num_gains) * len(top_k) + len(NAMES),)`. NaN where NDCG by rating, or AUC, is not
      defined.

    Example:
      >>> ranking_values(np.array([0.5, 0.5, 0.1]), np.array([True, False, False]), [1])  # NDCG, precision, ...
      array([0.5 , 0.5 , 0.5 , 0.5 , 0.75])
    """
    worth = np.concatenate([relevant[None].astype(np.float64), *(() if gained is None else (gained,))])
    ks = np.asarray(top_k)
    if not np.isfinite(scores).all():
        return np.full((len(NAMES_AT_K) + len(worth) - 1) * len(ks) + len(NAMES), np.nan)
    order = np.argsort(-scores, kind="stable")
    _, group, size = np.unique(-scores[order], return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(group, weights=row) for row in worth[:, order]])
    expected = (sums / size)[:, group]  # (1 + num_gains, num_rows): worth by place
    last = np.minimum(ks, len(scores)) - 1
    ideal = gains.ideal_dcg(worth, top_k)
    dcg = np.cumsum(expected / np.log2(2 + np.arange(len(scores))), axis=1)[:, last]
    ndcg = dcg / np.where(ideal > 0, ideal, np.nan)
    hits = np.cumsum(expected[0])
    n = int(relevant.sum())
    plain = [hits[n - 1] / n, area_under_curve(scores, relevant)]
    return np.concatenate([ndcg[0], hits[last] / ks, hits[last] / n, ndcg[1:].reshape(-1), plain])


def _row_ranking(
    top_k: list[int],
    relevance_key: str,
    rating_thresholds: list[float],
    rating_key: str,
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs, models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    names_at_k = NAMES_AT_K + (gains.NAMES if rating_thresholds else ())
    estimates = Estimates(NAMES, models, outputs, names_at_k, top_k)
    values = _ScoredRows(models, outputs, top_k, relevance_key, rating_thresholds, rating_key)
    return mean_over_queries(estimates, models, outputs, values)


class _ScoredRows(metric_types.Preprocessor):
    """From the rows of a query to the vector of its metrics, once for all slices."""

    def __init__(
        self,
        model_names: Sequence[str],
        output_names: Sequence[str],
        top_k: Sequence[int],
        relevance_key: str,
        rating_thresholds: Sequence[float],
        rating_key: str,
    ) -> None:
        super().__init__(
            name=f"scored_rows:{model_names}:{output_names}:{top_k}:{relevance_key}:{rating_thresholds}:{rating_key}"
        )
        self._model_names = list(model_names)
        self._output_names = list(output_names)
        self._top_k = list(top_k)
        self._relevance_key = relevance_key
        self._thresholds = list(rating_thresholds)
        self._rating_key = rating_key

    def process(self, extracts: types.Extracts) -> Iterator[QueryValues]:
        """Yield the metrics, without values where no row is relevant."""
        group = row_values.group(extracts)
        relevant = row_values.feature(extracts, self._relevance_key) > 0
        if not relevant.any():
            yield QueryValues(group, None)
            return
        gained = None
        if self._thresholds:
            gained = gains.rating_gains(row_values.feature(extracts, self._rating_key), self._thresholds)
        scores = row_values.outputs(extracts, self._model_names, self._output_names)
        values = np.stack([ranking_values(row, relevant, self._top_k, gained) for row in scores])
        yield QueryValues(
            group,
            values.reshape(-1),
            self._weights(relevant, gained, values.shape).reshape(-1),
            len(relevant) < max(self._top_k),
            row_values.num_repeated_items(extracts),
        )

    def _weights(self, relevant: np.ndarray, gained: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
        """Return how much the query counts in each metric, whatever the scores: 0 where a metric is not defined."""
        weights = np.ones(shape)
        weights[:, -1] = 0 if relevant.all() else len(relevant)
        if gained is not None:
            start, num_k = len(NAMES_AT_K) * len(self._top_k), len(self._top_k)
            weights[:, start : start + len(gained) * num_k] = np.repeat(gained.any(axis=1), num_k)
        return weights
