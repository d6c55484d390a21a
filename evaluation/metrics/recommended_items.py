"""What the recommended items are like, per query: popularity, novelty, variety, fit to the user's history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation import item_table
from evaluation.item_table import ItemTable
from evaluation.metrics import row_values
from evaluation.metrics.estimates import Estimates
from evaluation.metrics.query_means import QueryValues, mean_over_queries

NAMES_AT_K = (
    "mean_popularity",
    "popularity_lift",
    "novelty",
    "diversity",
    "category_divergence",
    "rank_biased_overlap",
)
# Steck's smoothing, and the persistence of rank-biased overlap: a reader goes on to the next item with this chance.
_SMOOTHING = 0.01
_PERSISTENCE = 0.9


class RecommendedItems(metric_types.Metric):
    """Beyond accuracy, at each k, means over the queries for which a metric is defined.

    With `L` the first k recommended items, `H` the items of the user's history, `c_i` the train events of item `i` out
    of `T` and a catalogue of `N`, and `p(g|i)` the share of category `g` in item `i`:

        mean_popularity     = mean_{i in L} c_i
        popularity_lift     = (mean_{i in L} c_i - mean_{i in H} c_i) / mean_{i in H} c_i
        novelty             = mean_{i in L} -log2((c_i + 1) / (T + N))
        diversity           = mean over pairs i < j of L of 1 - cos(p(.|i), p(.|j))
        category_divergence = KL(p || 0.99 q + 0.01 p), p and q the means of p(.|i) over H and over L
        rank_biased_overlap = sum_{d=1}^k 0.9^(d-1) * |L_d & B_d| / d  /  sum_{d=1}^k 0.9^(d-1), B the baseline's list

    Not defined, and left out of the mean: all of them for an empty list, lift and divergence without a history (or one
    without events, or categories), diversity of fewer than two items, and the overlap without a baseline. Items that
    are not in the table have no train events and no categories; a pair in which one has no category is wholly diverse.

    Args:
      top_k: cut-offs.
      items_path: the item table, see `evaluation.item_table`.
      name: name of the group; the metrics have the names above.

    References: lift: Abdollahpouri et al., https://arxiv.org/abs/1907.13286. divergence: Steck, RecSys 2018,
    https://doi.org/10.1145/3240323.3240372. overlap: Webber et al., TOIS 28(4), 2010,
    https://doi.org/10.1145/1852102.1852106
    """

    def __init__(self, top_k: Sequence[int], items_path: str, name: str = "recommended_items") -> None:
        super().__init__(_recommended_items, top_k=list(top_k), items_path=items_path, name=name)


metric_types.register_metric(RecommendedItems)


def list_values(
    places: np.ndarray, history: np.ndarray, baseline: np.ndarray | None, items: ItemTable, top_k: Sequence[int]
) -> np.ndarray:
    """Return the metrics of one list.

    Args:
      places: int `(length,)`, recommended items as places in the table, the best first; -1 where there are no more.
      history: int `(history_length,)`, those that the user chose before.
      baseline: int `(length,)`, the baseline's list; None without baseline.
      items: the table.
      top_k: cut-offs.

    Returns:
      float64 `(len(NAMES_AT_K), len(top_k))`, NaN where a metric is not defined.

    Example:
      >>> items = item_table.make([b"a", b"b"], [b"", b""], [3, 1], [[b"Drama"], [b"Comedy"]])
      >>> list_values(np.array([0, 1]), np.array([1]), None, items, [2])[:4, 0].round(4).tolist()
      [2.0, 1.0, 1.085, 1.0]
    """
    places = places[places >= 0]
    ends = np.minimum(np.asarray(top_k), len(places))
    values = np.full((len(NAMES_AT_K), len(ends)), np.nan)
    if not len(places):
        return values
    counts, shares = items.counts[places], items.categories[places].astype(np.float64)
    information = -np.log2((counts + 1) / (items.counts.sum() + len(items)))
    values[0] = np.cumsum(counts)[ends - 1] / ends
    usual = items.counts[history].mean() if len(history) else 0.0
    if usual > 0:
        values[1] = values[0] / usual - 1
    values[2] = np.cumsum(information)[ends - 1] / ends
    norms = np.linalg.norm(shares, axis=1, keepdims=True)
    units = shares / np.where(norms > 0, norms, 1)
    # The similar pairs whose later item is at each place.
    similar = np.cumsum(np.tril(units @ units.T, -1).sum(axis=1))[ends - 1]
    pairs = ends * (ends - 1) / 2
    values[3] = np.where(pairs > 0, 1 - similar / np.maximum(pairs, 1), np.nan) if shares.shape[1] else np.nan
    wished = items.categories[history].astype(np.float64).mean(axis=0) if len(history) else np.zeros(shares.shape[1])
    wished /= wished.sum() or 1
    for column, end in enumerate(ends):
        offered = shares[:end].mean(axis=0)
        if wished.any() and offered.any():
            values[4, column] = _divergence(wished, offered / offered.sum())
    if baseline is not None:
        values[5] = [_overlap(places, baseline[baseline >= 0], k) for k in top_k]
    return values


def _divergence(wished: np.ndarray, offered: np.ndarray) -> float:
    known = wished > 0
    smoothed = (1 - _SMOOTHING) * offered + _SMOOTHING * wished
    return float(np.sum(wished[known] * np.log(wished[known] / smoothed[known])))


def _overlap(places: np.ndarray, others: np.ndarray, k: int) -> float:
    """Return the rank-biased overlap of the first k; items at places beyond a shorter list are shared by nobody."""
    mine, theirs = places[:k], others[:k]
    same = mine[:, None] == theirs
    # An item that both hold is shared from the deeper of its two places on.
    depths = np.maximum(*np.nonzero(same))
    shared = np.cumsum(np.bincount(depths, minlength=k)[:k])
    weights = _PERSISTENCE ** np.arange(k)
    return float(np.sum(weights * shared / np.arange(1, k + 1)) / weights.sum())


def _recommended_items(
    top_k: list[int],
    items_path: str,
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs and models."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    estimates = Estimates((), models, outputs, NAMES_AT_K, top_k)
    lists = _Lists(len(models), top_k, items_path)
    return mean_over_queries(estimates, models, outputs, lists, counted=False)


class _Lists(metric_types.Preprocessor):
    """From the lists of a query to the vector of its metrics, once for all slices.

    The extracts of one query come one after the other, for slices that hold different rows of it, and share its lists.
    """

    def __init__(self, num_models: int, top_k: Sequence[int], items_path: str) -> None:
        super().__init__(name=f"lists:{num_models}:{top_k}:{items_path}")
        self._num_models = num_models
        self._top_k = list(top_k)
        self._items_path = items_path
        self._latest: tuple[np.ndarray, np.ndarray] | None = None

    def process(self, extracts: types.Extracts) -> Iterator[QueryValues]:
        """Yield the metrics."""
        lists = row_values.lists(extracts)
        if self._latest is None or self._latest[0] is not lists:
            self._latest = lists, self._values(lists, row_values.history(extracts))
        values = self._latest[1]
        yield QueryValues(row_values.group(extracts), values, (~np.isnan(values)).astype(np.float64))

    def _values(self, lists: np.ndarray, history: np.ndarray) -> np.ndarray:
        items = item_table.load(self._items_path)
        baseline = lists[1] if self._num_models > 1 else None
        return np.stack([list_values(row, history, baseline, items, self._top_k) for row in lists]).reshape(-1)
