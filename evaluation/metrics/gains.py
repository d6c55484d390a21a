"""What a recommended row is worth by its rating, for NDCG with thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NORMAL, STRICT = "normal", "strict"
# In the order of the rows of `rating_gains`.
NAMES = tuple(f"{kind}_{name}" for kind in ("ndcg", "graded_ndcg") for name in (NORMAL, STRICT))


def rating_gains(ratings: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Return the gains of rows: 1, then `2^rating - 1`, where the rating reaches a threshold, else 0.

    Args:
      ratings: float64 `(num_rows,)`; NaN where a row has none, which gains nothing.
      thresholds: the normal and the strict one.

    Returns:
      float64 `(len(NAMES), num_rows)`.

    Example:
      >>> rating_gains(np.array([3.0, 5.0]), [3, 4]).tolist()
      [[1.0, 1.0], [0.0, 1.0], [7.0, 31.0], [0.0, 31.0]]
    """
    reached = ratings >= np.asarray(thresholds)[:, None]
    graded = np.exp2(np.where(np.isfinite(ratings), ratings, 0)) - 1
    return np.concatenate([reached.astype(np.float64), reached * graded])


def ideal_dcg(gains: np.ndarray, top_k: Sequence[int]) -> np.ndarray:
    """Return the discounted gain of the best order at each k, float64 `(num_gains, len(top_k))`.

    Example:
      >>> ideal_dcg(np.array([[0.0, 1.0]]), [1, 5]).tolist()
      [[1.0, 1.0]]
    """
    best = -np.sort(-gains, axis=1)
    sums = np.cumsum(best / np.log2(2 + np.arange(gains.shape[1])), axis=1)
    return sums[:, np.minimum(np.asarray(top_k), gains.shape[1]) - 1]
