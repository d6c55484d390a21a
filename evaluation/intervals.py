"""How sure one can be of a metric: the delete-a-group jackknife over users, and Student's t.

Users, not rows, are what a new test split would draw again: the queries of one user resemble one another. So users are
dealt into groups by a hash of their id, the same on every slice and for every model. Each metric is computed once more
without each group, from sums that are kept by group; how much it moves tells its standard error. One mechanism serves
all metrics (means, AUC, RMSE, Gini), needs one pass, holds `NUM_GROUPS` sums instead of hundreds of bootstrap
replicates, gives the same answer in any order, and the error of a *paired* difference comes from the differences
without each group.

Imports no framework.
"""

from __future__ import annotations

import math
import zlib
from statistics import NormalDist

import numpy as np

# More groups: closer to the normal quantile (2.01 against 1.96 at 50), and longer accumulators.
NUM_GROUPS = 50


def group_of(user_id: bytes) -> int:
    """Return the group of a user, in `[0, NUM_GROUPS)`.

    Example:
      >>> group_of(b"196"), group_of(b"186")
      (4, 39)
    """
    return zlib.crc32(user_id) % NUM_GROUPS


def jackknife_errors(estimate: np.ndarray, left_out: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard errors of estimates by the delete-m_j jackknife, for groups of unequal sizes.

    With `h_j = n / m_j`, the pseudo values `p_j = h_j * estimate - (h_j - 1) * left_out_j` and `p = sum_j p_j / h_j`:

        error^2 = 1 / G * sum_j (p_j - p)^2 / (h_j - 1)

    over the G groups that are not empty. For a mean, `p_j` is the mean of the group.

    Args:
      estimate: float64 `(num_metrics,)`, over all groups.
      left_out: float64 `(num_groups, num_metrics)`, without each group.
      sizes: float64 `(num_groups, num_metrics)` or `(num_groups, 1)`, weight of each group in the metric.

    Returns:
      errors, NaN for fewer than two groups, and the numbers G; both float64 `(num_metrics,)`.

    Reference: Busing, Meijer, van der Leeden, Statistics and Computing 9, 1999. https://doi.org/10.1023/A:1008800423698

    Example:
      >>> values = np.array([[1.0], [2.0], [6.0]])
      >>> errors, groups = jackknife_errors(values.mean(0), (values.sum(0) - values) / 2, np.ones((3, 1)))
      >>> bool(np.isclose(errors[0], values.std(ddof=1) / np.sqrt(3))), groups
      (True, array([3.]))
    """
    sizes = np.broadcast_to(sizes, left_out.shape)
    present = sizes > 0
    num_groups = present.sum(axis=0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = sizes.sum(axis=0) / sizes
        pseudo = h * estimate - (h - 1) * left_out
        center = np.where(present, pseudo / h, 0.0).sum(axis=0)
        variance = np.where(present, np.square(pseudo - center) / (h - 1), 0.0).sum(axis=0) / num_groups
    return np.where(num_groups > 1, np.sqrt(variance), np.nan), num_groups


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return a quantile of Student's t distribution, to four digits or better.

    Reference: Hill, Algorithm 396, CACM 13, 1970.

    Example:
      >>> round(t_quantile(0.975, 49), 4), round(t_quantile(0.975, 1), 3), round(t_quantile(0.025, 9), 4)
      (2.0096, 12.706, -2.2622)
    """
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees_of_freedom)
    n, tail = degrees_of_freedom, 2 * (1 - probability)
    if n == 1:
        return 1 / math.tan(tail * math.pi / 2)
    if n == 2:
        return math.sqrt(2 / (tail * (2 - tail)) - 2)
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * tail) ** (2 / n)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(1 - tail / 2)
        y = x**2
        if n < 5:
            c += 0.3 * (n - 4.5) * (-x)
        c += (((0.05 * d * (-x) - 5) * (-x) - 7) * (-x) - 2) * (-x) + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * (-x)
        y = math.expm1(a * y**2)
    else:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
    return math.sqrt(n * y)


def margin(error: float | None, num_groups: float | None, confidence: float) -> float | None:
    """Return half the width of a two-sided confidence interval; None where no error is known.

    Example:
      >>> round(margin(1.0, 50, 0.95), 4), margin(None, 50, 0.95)
      (2.0096, None)
    """
    if error is None or num_groups is None or not math.isfinite(error) or num_groups < 2:
        return None
    return t_quantile(0.5 + confidence / 2, num_groups - 1) * error
