"""Runs a metric computation as Beam may: split, pickled, compacted and merged in any order."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types


def extracts(
    labels: Sequence[float], features: dict[str, Any] | None = None, group: int = 0, **outputs: Sequence[float]
) -> dict:
    """Return the extracts of one query of one model, by a user of a group."""
    features = {"num_repeated_items": 0, **(features or {}), "user_group": [group] * len(labels)}
    return {
        "labels": np.array(labels, float),
        "predictions": {name: np.array(values, float) for name, values in outputs.items()},
        "features": {name: np.array(values, float) for name, values in features.items()},
    }


def combine(
    metric: metric_types.Metric,
    queries: Sequence[dict],
    output_names: Sequence[str],
    model_names: Sequence[str] = ("",),
    seed: int = 0,
    errors: bool = False,
) -> dict[tuple[str, str, str], float]:
    """Return the metrics by (name, model, output), after merging random parts in random order.

    With `errors` also what stands behind a dot, such as `ndcg.error@10`.
    """
    rng = np.random.default_rng(seed)
    restored = type(metric).from_config(metric.get_config())
    result = {}
    for computation in restored.computations(model_names=list(model_names), output_names=list(output_names)):
        (preprocessor,) = pickle.loads(pickle.dumps(computation.preprocessors))
        combiner = pickle.loads(pickle.dumps(computation.combiner))
        parts = [combiner.create_accumulator() for _ in range(4)]
        for query in queries:
            part = rng.integers(len(parts))
            parts[part] = combiner.add_inputs(parts[part], list(preprocessor.process(query)))
        parts = [combiner.compact(pickle.loads(pickle.dumps(part))) for part in parts]
        order = rng.permutation(len(parts))
        merged = combiner.merge_accumulators(parts[i] for i in order[:2])
        merged = combiner.merge_accumulators([merged, *(parts[i] for i in order[2:])])
        output = combiner.extract_output(merged)
        assert set(output) == set(computation.keys)
        result.update(output)
    return {
        (_name(key), key.model_name, key.output_name): value
        for key, value in result.items()
        if errors or "." not in key.name
    }


def _name(key: metric_types.MetricKey) -> str:
    return key.name if key.sub_key is None else f"{key.name}@{key.sub_key.top_k}"
