"""Search among items that are too many to compare a query with each: lists of neighbours, a few of which are read."""

from __future__ import annotations

import logging

import numpy as np
import tensorflow as tf

from serving.catalogue_ranking import best_of, in_blocks
from serving.graph_operations import gathered

# What the index is judged by.
K = 10
# k-means sees a sample: more of it moves no centroid by much.
_SAMPLE_A_LIST, _ITERATIONS = 64, 8
_ROWS_AT_ONCE = 16_384

_log = logging.getLogger(__name__)


class ApproximateIndex(tf.Module):
    """Finds the items of the highest inner product with a query among those of the lists nearest to it.

    An inverted file (Jégou et al. 2011, https://doi.org/10.1109/TPAMI.2010.57) without compression: k-means sorts the
    items into `sqrt(num_items)` lists, and a query is compared with all centroids, then with every item of the
    `num_probed` lists of the highest inner products. So many lists are probed that the share of the sample queries'
    exact ten best that lie in them is halfway between `min_recall` and 1.

    Stock TensorFlow operations only, and no second copy of the vectors.

    Args:
      vectors: float32 `(num_items, dim)`; kept, not copied.
      queries: float32 `(num_queries, dim)`, vectors such as will be asked.
      min_recall: recall@10 below which the index is of no use; what `num_probed` is chosen from.
      seed: of the first centroids.

    Attributes:
      num_probed: lists that a query reads.
      min_recall: as given.
    """

    def __init__(self, vectors: tf.Variable, queries: np.ndarray, min_recall: float = 0.98, seed: int = 0) -> None:
        super().__init__()
        items = vectors.numpy()
        centroids, lists = k_means(items, round(len(items) ** 0.5), seed)
        self._vectors = vectors
        self._num_items = len(items)
        self._centroids = tf.Variable(centroids, trainable=False, name="centroids")
        order = np.argsort(lists, kind="stable")  # ascending within a list
        self._order = tf.Variable(order.astype(np.int32), trainable=False, name="items_by_list")
        starts = np.searchsorted(lists[order], np.arange(len(centroids) + 1))
        self._starts = tf.Variable(starts.astype(np.int32), trainable=False, name="list_starts")
        self.min_recall = min_recall
        self.num_probed = _probes(items, queries, centroids, lists, (1.0 + min_recall) / 2)
        _log.info("Index of %d items: %d lists, %d of them probed", len(items), len(centroids), self.num_probed)

    def search(self, queries: tf.Tensor, seen: tf.RaggedTensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the k best of the probed lists among those not seen; as `catalogue_ranking.best` does of all.

        Args:
          queries: float32 `(num_rows, dim)`.
          seen: int64, ragged `(num_rows, None)`, catalogue positions.
          k: int32 scalar.
        """

        def of_row(start: tf.Tensor, end: tf.Tensor) -> dict[str, tf.Tensor]:
            query = queries[start:end]
            probed = tf.math.top_k(tf.matmul(query, self._centroids, transpose_b=True)[0], self.num_probed).indices
            lists = tf.ragged.range(tf.gather(self._starts, probed), tf.gather(self._starts, probed + 1))
            items = tf.gather(self._order, lists.flat_values)
            scores = tf.matmul(query, gathered(self._vectors, items), transpose_b=True)
            found, values = best_of(items[tf.newaxis], scores, seen[start:end], k, self._num_items)
            return {"items": found, "scores": values}

        outputs = {"items": tf.TensorSpec([None, None], tf.int32), "scores": tf.TensorSpec([None, None], tf.float32)}
        # A row at a time: a batch would hold the vectors of all its lists at once.
        num_rows = tf.shape(queries)[0]
        found = tf.cond(
            num_rows > 0,
            lambda: in_blocks(of_row, outputs, num_rows, tf.constant(1)),
            lambda: {"items": tf.zeros([0, k], tf.int32), "scores": tf.zeros([0, k])},
        )
        return found["items"], found["scores"]

    def recall(self, queries: tf.Tensor) -> tf.Tensor:
        """Return the share of each query's exact ten best that the index finds, float32 `(num_queries,)`."""
        k = min(K, self._num_items)
        exact = tf.math.top_k(tf.matmul(queries, self._vectors, transpose_b=True), k).indices
        nothing = tf.RaggedTensor.from_row_lengths(
            tf.zeros([0], tf.int64), tf.zeros([tf.shape(queries)[0]], tf.int64), validate=False
        )
        found = self.search(queries, nothing, tf.constant(k))[0]
        hits = tf.reduce_any(exact[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2)
        return tf.reduce_mean(tf.cast(hits, tf.float32), axis=1)


def k_means(vectors: np.ndarray, num_lists: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return centroids, float32 `(num_lists, dim)`, and the list of each vector, int32 `(num_vectors,)`.

    Lloyd's algorithm on a sample; a list that loses all its vectors keeps its centroid.

    Example:
      >>> centroids, lists = k_means(np.array([[0, 1], [9, 0], [0, 3], [9, 2]], np.float32), 2)
      >>> sorted(centroids.tolist()), bool(lists[0] == lists[2] != lists[1] == lists[3])
      ([[0.0, 2.0], [9.0, 1.0]], True)
    """
    generator = np.random.default_rng(seed)
    size = min(len(vectors), num_lists * _SAMPLE_A_LIST)
    sample = vectors[np.sort(generator.choice(len(vectors), size, replace=False))]
    centroids = sample[np.sort(generator.choice(size, num_lists, replace=False))].copy()
    for _ in range(_ITERATIONS):
        lists = _nearest(sample, centroids)
        counts = np.bincount(lists, minlength=num_lists)
        sums = np.stack([np.bincount(lists, weights=column, minlength=num_lists) for column in sample.T], axis=1)
        filled = counts > 0
        centroids[filled] = (sums[filled] / counts[filled, np.newaxis]).astype(np.float32)
    return centroids, _nearest(vectors, centroids)


def _nearest(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return for each vector the centroid of the smallest Euclidean distance."""
    half_squares = 0.5 * np.square(centroids).sum(axis=1)
    return np.concatenate(
        [
            np.argmax(vectors[start : start + _ROWS_AT_ONCE] @ centroids.T - half_squares, axis=1)
            for start in range(0, len(vectors), _ROWS_AT_ONCE)
        ]
    ).astype(np.int32)


def _probes(items: np.ndarray, queries: np.ndarray, centroids: np.ndarray, lists: np.ndarray, recall: float) -> int:
    """Return how many lists hold that share of the queries' ten best items."""
    needed = []
    for query in queries:
        best = np.argpartition(items @ query, -min(K, len(items)))[-min(K, len(items)) :]
        place = np.empty(len(centroids), np.int64)
        place[np.argsort(-(centroids @ query), kind="stable")] = np.arange(len(centroids))
        needed.append(place[lists[best]] + 1)
    return int(np.ceil(np.quantile(np.concatenate(needed), recall))) if needed else len(centroids)
