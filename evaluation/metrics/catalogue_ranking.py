"""Ranking metrics of retrieval models, per query, from the ranks of the relevant items in the full catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.metrics import row_values
from evaluation.metrics.query_means import mean_over_queries

NAMES = ("ndcg", "recall", "precision", "hit_rate", "mrr", "map")


class CatalogueRanking(metric_types.Metric):
    """NDCG, recall, precision, hit rate, MRR and MAP at each k, means over queries with at least one relevant row.

    An output of the model gives, for each row, the 1-based rank `r` of the row's item in the catalogue. With the `n`
    relevant rows of a query, ranks ascending `r_1 <= ... <= r_n`:

        recall@k    = |{i: r_i <= k}| / n
        precision@k = |{i: r_i <= k}| / k
        hit_rate@k  = 1 if r_1 <= k else 0
        ndcg@k      = sum_{i: r_i <= k} 1 / log2(1 + r_i)  /  sum_{j=1}^{min(n, k)} 1 / log2(1 + j)
        mrr@k       = 1 / r_1 if r_1 <= k else 0
        map@k       = sum_{i: r_i <= k} i / r_i  /  min(n, k)

    Ties are already broken in the ranks (earlier catalogue item first). A rank that is not finite is a miss. On a slice
    of items (genre, item popularity), `n` counts the relevant rows of that slice only. All values agree with their
    formula to 1e-9.

    Args:
      top_k: cut-offs.
      name: name of the group; the metrics have the names above.
    """

    def __init__(self, top_k: Sequence[int], name: str = "catalogue_ranking") -> None:
        super().__init__(_catalogue_ranking, top_k=list(top_k), name=name)


metric_types.register_metric(CatalogueRanking)


def ranking_values(ranks: np.ndarray, top_k: Sequence[int]) -> np.ndarray:
    """Return the metrics of one query, from the ranks of its relevant items.

    Args:
      ranks: float64 `(num_outputs, num_relevant)`, 1-based, at least one relevant.
      top_k: cut-offs.

    Returns:
      float64 `(num_outputs, len(NAMES), len(top_k))`.

    Example:
      >>> ranking_values(np.array([[2.0, 9.0]]), [5])[0, 1:, 0]  # recall, precision, hit rate, MRR, MAP
      array([0.5 , 0.2 , 1.  , 0.5 , 0.25])
    """
    ks = np.asarray(top_k)
    n = ranks.shape[1]
    ordered = np.sort(np.where(np.isfinite(ranks), ranks, np.inf), axis=1)
    hits = (ordered[:, None, :] <= ks[:, None]).astype(np.float64)  # (num_outputs, num_k, num_relevant)
    num_hits = hits.sum(axis=2)
    gains = hits @ (1 / np.log2(1 + ordered))[..., None]
    precisions = hits @ (np.arange(1, n + 1) / ordered)[..., None]
    best = np.minimum(n, ks)
    ideal = np.cumsum(1 / np.log2(2 + np.arange(best.max())))[best - 1]
    first = hits[:, :, 0]
    return np.stack(
        [
            gains[..., 0] / ideal,
            num_hits / n,
            num_hits / ks,
            first,
            first / ordered[:, :1],
            precisions[..., 0] / best,
        ],
        axis=1,
    )


def _catalogue_ranking(
    top_k: list[int],
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs, models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    return mean_over_queries(NAMES, top_k, models, outputs, _RelevantRanks(models, outputs, top_k))


class _RelevantRanks(metric_types.Preprocessor):
    """From the rows of a query to the vector of its metrics, once for all slices."""

    def __init__(self, model_names: Sequence[str], output_names: Sequence[str], top_k: Sequence[int]) -> None:
        super().__init__(name=f"relevant_ranks:{model_names}:{output_names}:{top_k}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)
        self._top_k = list(top_k)

    def process(self, extracts: types.Extracts) -> Iterator[np.ndarray | None]:
        """Yield the metrics, or None where no row is relevant."""
        relevant = row_values.labels(extracts, self._model_names[0]) > 0
        if not relevant.any():
            yield None
            return
        ranks = row_values.outputs(extracts, self._model_names, self._output_names)[:, relevant]
        yield ranking_values(ranks, self._top_k).reshape(-1)
