"""Recall, latency, build time and memory of the approximate index beside exact search, on a million items.

make bench-index

Vectors are made: `clustered` are 20,000 tastes of unequal size, drawn around 200 themes, with items around the tastes,
as trained item vectors lie; `gaussian` have no structure at all, the worst case of any index. Queries are drawn like
items, and other ones tune the index than measure it. Both searches are graphs of their own, asked one query at a time.

Writes benchmarks/results/index.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.measurement import record
from serving.approximate_index import ApproximateIndex, K
from serving.catalogue_ranking import best

# Seen items of a query, removed by both searches.
_SEEN = 100


def clustered(num: int, dim: int, generator: np.random.Generator, tastes: np.ndarray) -> np.ndarray:
    """Return vectors around tastes, of which few are common and most are rare."""
    weights = 1.0 / np.arange(1, len(tastes) + 1) ** 0.7
    chosen = generator.choice(len(tastes), num, p=weights / weights.sum())
    return (tastes[chosen] + 0.5 * generator.standard_normal((num, dim), np.float32)).astype(np.float32)


def make(kind: str, num_items: int, num_queries: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return items and queries of one distribution."""
    generator = np.random.default_rng(0)
    if kind == "gaussian":
        return tuple(generator.standard_normal((n, dim), np.float32) for n in (num_items, num_queries))  # type: ignore[return-value]
    themes = 1.0 * generator.standard_normal((200, dim), np.float32)
    tastes = themes[generator.integers(0, 200, 20_000)] + 0.7 * generator.standard_normal((20_000, dim), np.float32)
    generator.shuffle(tastes)
    return clustered(num_items, dim, generator, tastes), clustered(num_queries, dim, generator, tastes)


def timed(search: Callable[..., Any], queries: np.ndarray, num_items: int) -> tuple[np.ndarray, dict[str, float]]:
    """Return what is found, and percentiles of the time of a query."""
    seen = tf.RaggedTensor.from_tensor(
        tf.constant(np.random.default_rng(1).integers(0, num_items, (len(queries), _SEEN)))
    )
    traced = tf.function(
        search,
        input_signature=[
            tf.TensorSpec([None, queries.shape[1]], tf.float32),
            tf.RaggedTensorSpec([None, None], tf.int64, row_splits_dtype=tf.int64),
        ],
        autograph=False,
    )
    found, milliseconds = [], []
    for number in range(-10, len(queries)):  # the first ten warm it up
        row = slice(max(number, 0), max(number, 0) + 1)
        query, has_seen = tf.constant(queries[row]), seen[row]
        started = time.perf_counter()
        items = traced(query, has_seen)[0].numpy()
        if number >= 0:
            milliseconds.append(1000 * (time.perf_counter() - started))
            found.append(items[0])
    return np.array(found), {f"p{p}_ms": round(float(np.percentile(milliseconds, p)), 2) for p in (50, 99)}


def measure(kind: str, num_items: int, dim: int, num_queries: int) -> dict[str, Any]:
    """Return the figures of one distribution."""
    items, queries = make(kind, num_items, num_queries + 256, dim)
    vectors = tf.Variable(items)
    started = time.perf_counter()
    index = ApproximateIndex(vectors, queries[num_queries:])
    build_seconds = time.perf_counter() - started
    k = tf.constant(K)
    found, approximate = timed(lambda q, seen: index.search(q, seen, k), queries[:num_queries], num_items)
    wanted, exact = timed(
        lambda q, seen: best(tf.matmul(q, vectors, transpose_b=True), seen, k), queries[:num_queries], num_items
    )
    hits = [len(set(a) & set(b)) / K for a, b in zip(found.tolist(), wanted.tolist(), strict=True)]
    extra = sum(v.numpy().nbytes for v in index.variables if v is not vectors)
    return {
        "vectors": kind,
        "recall_at_10": round(float(np.mean(hits)), 4),
        "approximate": approximate,
        "exact": exact,
        "speedup_p50": round(exact["p50_ms"] / approximate["p50_ms"], 1),
        "build_seconds": round(build_seconds, 1),
        "lists": round(num_items**0.5),
        "probed": index.num_probed,
        "memory_of_index_mib": round(extra / 2**20, 1),
        "memory_of_vectors_mib": round(items.nbytes / 2**20, 1),
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args()
    figures = [
        {"items": num_items, **measure(kind, num_items, options.dim, options.queries)}
        for num_items in options.items
        for kind in ("clustered", "gaussian")
    ]
    record("index", {"dim": options.dim, "queries": options.queries, "seen_items": _SEEN, "figures": figures})


if __name__ == "__main__":
    main()
