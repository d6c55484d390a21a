"""Squared distances as inner products, so that a metric model is served like any other."""

from __future__ import annotations

from typing import Any

from keras import ops


def in_unit_ball(vectors: Any) -> Any:
    """Return `v / max(1, |v|)`.

    The paper clips the weights after each step; the projection here is a part of the model, so it holds for every
    optimizer.

    Args:
      vectors: float32 `(batch_size, dim)`.

    Example:
      >>> import numpy as np
      >>> in_unit_ball(np.array([[3.0, 4.0], [0.0, 0.5]], np.float32)).numpy().round(2)
      array([[0.6, 0.8],
             [0. , 0.5]], dtype=float32)

    Reference:
      Hsieh et al.: Collaborative metric learning, 2017, https://doi.org/10.1145/3038912.3052639
    """
    return vectors / ops.sqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1.0))


def distance_query(vectors: Any) -> Any:
    """Return `[2 q, |q|², 1]`; with `distance_candidate` the inner product is `-|q - c|²`.

    Args:
      vectors: float32 `(batch_size, dim)`.

    Returns:
      float32 `(batch_size, dim + 2)`.

    Example:
      >>> import numpy as np
      >>> q, c = np.array([[1.0, 2.0]], np.float32), np.array([[4.0, -2.0]], np.float32)
      >>> float(ops.sum(distance_query(q) * distance_candidate(c)))  # -(3*3 + 4*4)
      -25.0
    """
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return ops.concatenate([2.0 * vectors, squared, ops.ones_like(squared)], axis=-1)


def distance_candidate(vectors: Any) -> Any:
    """Return `[c, -1, -|c|²]`, float32 `(batch_size, dim + 2)`."""
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return ops.concatenate([vectors, -ops.ones_like(squared), -squared], axis=-1)
