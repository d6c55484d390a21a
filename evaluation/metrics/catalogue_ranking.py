"""Ranking metrics of retrieval models, per query, from the ranks of the relevant items in the full catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import gains, row_values
from evaluation.metrics.estimates import Estimates
from evaluation.metrics.query_means import QueryValues, mean_over_queries

NAMES_AT_K = ("ndcg", "recall", "precision", "hit_rate", "mrr", "map", "serendipity")
NAMES = ("r_precision",)


class CatalogueRanking(metric_types.Metric):
    """Ranking metrics at each k and R-precision, means over queries with at least one relevant row.

    An output of the model gives, for each row, the 1-based rank `r` of the row's item in the catalogue. With the `n`
    relevant rows of a query, ranks ascending `r_1 <= ... <= r_n`, and `q_i` the rank that popularity gives item `i`:

        recall@k      = |{i: r_i <= k}| / n
        precision@k   = |{i: r_i <= k}| / k
        hit_rate@k    = 1 if r_1 <= k else 0
        ndcg@k        = sum_{i: r_i <= k} 1 / log2(1 + r_i)  /  sum_{j=1}^{min(n, k)} 1 / log2(1 + j)
        mrr@k         = 1 / r_1 if r_1 <= k else 0
        map@k         = sum_{i: r_i <= k} i / r_i  /  min(n, k)
        serendipity@k = |{i: r_i <= k < q_i}| / k, what users chose and popularity would not have shown
        r_precision   = |{i: r_i <= n}| / n

    With `rating_thresholds` also NDCG by rating, over all rows of the query and defined where one reaches the
    threshold; `g_i` is 1 (`ndcg_normal`, `ndcg_strict`) or `2^rating - 1`
    (`graded_ndcg_...`) where the rating reaches it, else 0:

        ndcg_normal@k = sum_{i: r_i <= k} g_i / log2(1 + r_i)  /  the same of the best order

    Ties are already broken in the ranks (earlier catalogue item first). A rank that is not finite is a miss. On a slice
    of items (genre, item popularity), `n` counts the relevant rows of that slice only. All values agree with their
    formula to 1e-9.

    Args:
      top_k: cut-offs.
      rating_thresholds: the normal and the strict one; empty: no NDCG by rating.
      rating_key: feature that holds the rating.
      name: name of the group; the metrics have the names above.
    """

    def __init__(
        self,
        top_k: Sequence[int],
        rating_thresholds: Sequence[float] = (),
        rating_key: str = "rating",
        name: str = "catalogue_ranking",
    ) -> None:
        super().__init__(
            _catalogue_ranking,
            top_k=list(top_k),
            rating_thresholds=list(rating_thresholds),
            rating_key=rating_key,
            name=name,
        )


metric_types.register_metric(CatalogueRanking)


def ranking_values(ranks: np.ndarray, popularity_ranks: np.ndarray, top_k: Sequence[int]) -> np.ndarray:
    """Return the metrics of one query, from the ranks of its relevant items.

    Args:
      ranks: float64 `(num_outputs, num_relevant)`, 1-based, at least one relevant.
      popularity_ranks: the same shape, popularity's ranks of the same items.
      top_k: cut-offs.

    Returns:
      float64 `(num_outputs, len(NAMES_AT_K) * len(top_k) + len(NAMES))`.

    Example:
      >>> ranks = np.array([[2.0, 9.0]])
      >>> ranking_values(ranks, np.array([[7.0, 1.0]]), [5])[0, 1:]  # recall, precision, hit rate, MRR, MAP, ...
      array([0.5 , 0.2 , 1.  , 0.5 , 0.25, 0.2 , 0.5 ])
    """
    ks = np.asarray(top_k)
    n = ranks.shape[1]
    ranks = np.where(np.isfinite(ranks), ranks, np.inf)
    ordered = np.sort(ranks, axis=1)
    hits = (ordered[:, None, :] <= ks[:, None]).astype(np.float64)  # (num_outputs, num_k, num_relevant)
    num_hits = hits.sum(axis=2)
    gained = hits @ (1 / np.log2(1 + ordered))[..., None]
    precisions = hits @ (np.arange(1, n + 1) / ordered)[..., None]
    best = np.minimum(n, ks)
    ideal = np.cumsum(1 / np.log2(2 + np.arange(best.max())))[best - 1]
    first = hits[:, :, 0]
    surprises = (ranks[:, None, :] <= ks[:, None]) & (popularity_ranks[:, None, :] > ks[:, None])
    at_k = [
        gained[..., 0] / ideal,
        num_hits / n,
        num_hits / ks,
        first,
        first / ordered[:, :1],
        precisions[..., 0] / best,
        surprises.sum(axis=2) / ks,
    ]
    return np.concatenate([*at_k, (ordered <= n).sum(axis=1, keepdims=True) / n], axis=1)


def rating_values(ranks: np.ndarray, gained: np.ndarray, top_k: Sequence[int]) -> np.ndarray:
    """Return NDCG by rating, float64 `(num_outputs, num_gains * len(top_k))`; NaN where nothing gains.

    Args:
      ranks: float64 `(num_outputs, num_rows)`.
      gained: float64 `(num_gains, num_rows)`, see `gains.rating_gains`.
      top_k: cut-offs.

    Example:
      >>> rating_values(np.array([[1.0, 2.0]]), np.array([[0.0, 1.0]]), [1, 2]).round(4).tolist()
      [[0.0, 0.6309]]
    """
    ranks = np.where(np.isfinite(ranks), ranks, np.inf)
    discounts = (ranks[:, None, :] <= np.asarray(top_k)[:, None]) / np.log2(1 + ranks)[:, None, :]
    ideal = gains.ideal_dcg(gained, top_k)
    with np.errstate(invalid="ignore"):
        values = np.einsum("okr,gr->ogk", discounts, gained) / np.where(ideal > 0, ideal, np.nan)
    return values.reshape(len(ranks), -1)


def _catalogue_ranking(
    top_k: list[int],
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
    values = _RelevantRanks(models, outputs, top_k, rating_thresholds, rating_key)
    return mean_over_queries(estimates, models, outputs, values)


class _RelevantRanks(metric_types.Preprocessor):
    """From the rows of a query to the vector of its metrics, once for all slices."""

    def __init__(
        self,
        model_names: Sequence[str],
        output_names: Sequence[str],
        top_k: Sequence[int],
        rating_thresholds: Sequence[float],
        rating_key: str,
    ) -> None:
        super().__init__(name=f"relevant_ranks:{model_names}:{output_names}:{top_k}:{rating_thresholds}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)
        self._top_k = list(top_k)
        self._thresholds = list(rating_thresholds)
        self._rating_key = rating_key

    def process(self, extracts: types.Extracts) -> Iterator[QueryValues]:
        """Yield the metrics, without values where no row is relevant."""
        group = row_values.group(extracts)
        relevant = row_values.labels(extracts, self._model_names[0]) > 0
        if not relevant.any():
            yield QueryValues(group, None)
            return
        ranks = row_values.outputs(extracts, self._model_names, self._output_names)
        num_outputs = len(self._output_names)
        # Popularity is the last output of each model.
        popularity = ranks[np.arange(len(ranks)) // num_outputs * num_outputs + num_outputs - 1]
        values = ranking_values(ranks[:, relevant], popularity[:, relevant], self._top_k)
        is_short = row_values.is_short(extracts, max(self._top_k))
        num_repeated = row_values.num_repeated_items(extracts)
        if not self._thresholds:
            yield QueryValues(group, values.reshape(-1), None, is_short, num_repeated)
            return
        ratings = row_values.feature(extracts, self._rating_key)
        by_rating = rating_values(ranks, gains.rating_gains(ratings, self._thresholds), self._top_k)
        # R-precision, which has no cut-off, comes last.
        end = values.shape[1] - len(NAMES)
        values = np.concatenate([values[:, :end], by_rating, values[:, end:]], axis=1).reshape(-1)
        yield QueryValues(group, values, (~np.isnan(values)).astype(np.float64), is_short, num_repeated)
