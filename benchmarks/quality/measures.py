"""What a protocol measures, in a few lines of NumPy each."""

from __future__ import annotations

from typing import Any

import numpy as np


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the probability that a positive scores above a negative, ties counting half.

    >>> auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.5, 0.5]))  # of 4 pairs 3 right and a tie
    0.875
    """
    positive = labels > 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    p, n = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - p * (p + 1) / 2.0) / (p * n))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean cross entropy.

    >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.75])), 4)  # (ln 2 + ln 4) / 2
    1.0397
    """
    p = np.clip(probabilities.astype(float), 1e-7, 1 - 1e-7)
    return float(-(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean())


def rmse(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Return the root of the mean squared error.

    >>> rmse(np.array([3.0, 5.0]), np.array([4.0, 5.0])) ** 2
    0.5000000000000001
    """
    return float(np.sqrt(np.mean((ratings - predictions) ** 2)))


def ranks(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rank of each row's target, from 1; equal scores rank in order of their columns.

    >>> ranks(np.array([[3.0, 5.0, 3.0], [1.0, 1.0, 1.0]]), np.array([2, 1])).tolist()
    [3, 2]
    """
    own = scores[np.arange(len(target)), target][:, None]
    before = np.arange(scores.shape[1])[None] < target[:, None]
    return ((scores > own) | ((scores == own) & before)).sum(axis=1) + 1


def one_relevant(rank: np.ndarray, k: int = 10) -> dict[str, float]:
    """Return hit rate, NDCG and MRR at k of queries with one relevant item each.

    >>> {name: round(value, 4) for name, value in one_relevant(np.array([1, 3, 11])).items()}
    {'ndcg@10': 0.5, 'hit_rate@10': 0.6667, 'mrr@10': 0.4444}
    """
    hit = rank <= k
    return {
        f"ndcg@{k}": float((hit / np.log2(rank + 1.0)).mean()),
        f"hit_rate@{k}": float(hit.mean()),
        f"mrr@{k}": float((hit / rank).mean()),
    }


def ranked_rows(users: np.ndarray, liked: np.ndarray, scores: np.ndarray, k: int = 10) -> dict[str, float]:
    """Return means over users of NDCG and precision of their own test rows, ranked by score.

    `strict`: users with at least one liked row and one other. `normal`: all users; one with liked rows only counts 1,
    one without any counts 0 for precision and is left out of NDCG.

    >>> users = np.array([1, 1, 2, 2])
    >>> found = ranked_rows(users, np.array([0, 1, 1, 1]), np.array([0.9, 0.1, 0.3, 0.2]))
    >>> {name: round(value, 4) for name, value in found.items()}
    {'ndcg strict': 0.6309, 'ndcg normal': 0.8155, 'precision@10 strict': 0.5, 'precision@10 normal': 0.75}
    """
    order = np.lexsort((-scores, users))
    starts = np.flatnonzero(np.r_[True, users[order][1:] != users[order][:-1]])
    ndcg, precision, mixed = [], [], []
    for rows in np.split(liked[order].astype(float), starts[1:]):
        discount = 1.0 / np.log2(np.arange(len(rows)) + 2.0)
        best = (np.sort(rows)[::-1] * discount).sum()
        ndcg.append((rows * discount).sum() / best if best else np.nan)
        precision.append(rows[:k].mean())
        mixed.append(0 < rows.sum() < len(rows))
    gains, shares, strict = np.array(ndcg), np.array(precision), np.array(mixed)
    return {
        "ndcg strict": float(gains[strict].mean()),
        "ndcg normal": float(np.nanmean(gains)),
        f"precision@{k} strict": float(shares[strict].mean()),
        f"precision@{k} normal": float(shares.mean()),
    }


def over_folds(folds: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each measure.

    >>> over_folds([{"auc": 0.5}, {"auc": 1.0}])
    {'auc': 0.75}
    """
    return {name: float(np.mean([fold[name] for fold in folds])) for name in folds[0]}


def over_seeds(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return how many runs there were, and mean and standard deviation of each of their measures.

    >>> over_seeds([{"auc": 0.7}, {"auc": 0.8}])
    {'seeds': 2, 'mean': {'auc': 0.75}, 'deviation': {'auc': 0.05}}
    """
    columns = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    return {
        "seeds": len(runs),
        "mean": {name: round(float(values.mean()), 5) for name, values in columns.items()},
        "deviation": {name: round(float(values.std()), 5) for name, values in columns.items()},
    }
