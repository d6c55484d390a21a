"""Losses on scores; training attaches them, no model holds one.

Retrieval losses that sample take the score of the positive item and those of the negatives; a negative that must not
count (the positive itself, drawn by accident) comes in as `REMOVED`. All return one value a row, not averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

# Score of a negative that must not count. Finite, so that no difference of scores is NaN.
REMOVED = -1e9


def softmax(logits: Any, labels: Any) -> Any:
    """Return `logsumexp_j s_j - s_label`.

    Computed from the probabilities p, as `max s - log max p - s_label`, with the gradient `p_j - [j = label]`: on a CPU
    TensorFlow's cross entropy takes three times as long as its softmax does for both, and of a training on a whole
    catalogue that is most of the time.

    Args:
      logits: float32 `(num_rows, num_candidates)`.
      labels: integer `(num_rows,)`, the candidate that is right.

    Example:
      >>> import numpy as np
      >>> round(float(softmax(np.array([[0.0, 0.0, 0.0, 0.0]], np.float32), np.array([2]))[0]), 4)  # ln 4
      1.3863
    """
    rows = ops.arange(ops.shape(labels)[0], dtype="int32")
    place = ops.stack([rows, ops.cast(labels, "int32")], axis=1)

    @ops.custom_gradient
    def loss_of(logits: Any) -> tuple[Any, Callable[..., Any]]:
        p = ops.softmax(logits)

        def gradient(*args: Any, upstream: Any = None) -> Any:
            # PyTorch names the argument, the others do not.
            upstream = args[0] if upstream is None else upstream
            right = _at(p, labels)
            return ops.scatter_update(p * upstream[:, None], place, (right - 1.0) * upstream)

        return ops.max(logits, axis=1) - ops.log(ops.max(p, axis=1)) - _at(logits, labels), gradient

    return loss_of(logits)


def _at(values: Any, labels: Any) -> Any:
    """Return each row's value at its label."""
    return ops.take_along_axis(values, labels[:, None], axis=1)[:, 0]


def sampled_softmax(positive: Any, negatives: Any) -> Any:
    """Return `logsumexp(s_pos, s_1, .., s_K) - s_pos`; the scores come corrected for how the negatives were drawn.

    Args:
      positive: float32 `(num_rows,)`.
      negatives: float32 `(num_rows, num_negatives)`.

    Reference:
      Bengio, Senécal: Adaptive importance sampling, 2008, https://doi.org/10.1109/TNN.2007.912312
    """
    return ops.logsumexp(ops.concatenate([positive[:, None], negatives], axis=1), axis=1) - positive


def bce(positive: Any, negatives: Any) -> Any:
    """Return `-log sigmoid(s_pos) - 1/K sum_k log(1 - sigmoid(s_k))`; with K = 1 that of the SASRec paper.

    Args:
      positive: float32 `(num_rows,)`.
      negatives: float32 `(num_rows, num_negatives)`.
    """
    return ops.softplus(-positive) + ops.mean(ops.softplus(negatives), axis=1)


def gbce(positive: Any, negatives: Any, beta: float) -> Any:
    """Return `(-beta log sigmoid(s_pos) - sum_k log(1 - sigmoid(s_k))) / (K + 1)`.

    A beta below 1 undoes the overconfidence that comes from seeing few of the negatives; `gbce_beta` gives it.

    Args:
      positive: float32 `(num_rows,)`.
      negatives: float32 `(num_rows, num_negatives)`.
      beta: power of the positive's probability.

    Reference:
      Petrov, Macdonald: gSASRec, 2023, equation (9), https://arxiv.org/abs/2308.07192
    """
    return (beta * ops.softplus(-positive) + ops.sum(ops.softplus(negatives), axis=1)) / (negatives.shape[1] + 1)


def gbce_beta(num_negatives: int, num_items: int, calibration: float) -> float:
    """Return `a (t (1 - 1/a) + 1/a)` with `a = num_negatives / (num_items - 1)`, the share of negatives seen.

    Args:
      num_negatives: drawn for a positive.
      num_items: size of the catalogue.
      calibration: t; 0 gives beta = 1, the plain BCE, 1 gives beta = a, probabilities as if all negatives were seen.

    Example:
      >>> gbce_beta(25, 101, 0.0), gbce_beta(25, 101, 1.0), gbce_beta(25, 101, 0.5)
      (1.0, 0.25, 0.625)
    """
    seen = min(num_negatives / max(num_items - 1, 1), 1.0)
    return seen * (calibration * (1.0 - 1.0 / seen) + 1.0 / seen)


def bpr(positive: Any, negatives: Any) -> Any:
    """Return `-1/K sum_k log sigmoid(s_pos - s_k)`.

    Args:
      positive: float32 `(num_rows,)`.
      negatives: float32 `(num_rows, num_negatives)`.

    Example:
      >>> import numpy as np
      >>> round(float(bpr(np.zeros(1, np.float32), np.zeros((1, 3), np.float32))[0]), 4)  # ln 2
      0.6931

    Reference:
      Rendle et al.: BPR, Bayesian personalized ranking, 2009, https://arxiv.org/abs/1205.2618
    """
    return ops.mean(ops.softplus(negatives - positive[:, None]), axis=1)


def hinge(positive: Any, negatives: Any, margin: float = 0.5) -> Any:
    """Return `1/K sum_k max(0, margin - s_pos + s_k)`; for scores that are negative squared distances.

    Args:
      positive: float32 `(num_rows,)`.
      negatives: float32 `(num_rows, num_negatives)`.
      margin: how much better the positive should be; 0.5 suits vectors in the unit ball, whose squared distances are
        at most 4.

    Example:
      >>> import numpy as np
      >>> float(hinge(np.array([-1.0], np.float32), np.array([[-1.25, -3.0]], np.float32))[0])  # (0.25 + 0) / 2
      0.125

    Reference:
      Hsieh et al.: Collaborative metric learning, 2017, equation (1), https://doi.org/10.1145/3038912.3052639. The
      paper also weights a row by its rank, and sums over the negatives.
    """
    return ops.mean(ops.relu(margin - positive[:, None] + negatives), axis=1)


def log_loss(logits: Any, labels: Any) -> Any:
    """Return `softplus(s) - y s`, the cross entropy of a click with the sigmoid of its logit.

    Args:
      logits: float32 `(num_rows,)`.
      labels: float32 `(num_rows,)`, 0 to 1.
    """
    return ops.softplus(logits) - labels * logits


def squared_error(predictions: Any, labels: Any) -> Any:
    """Return `(prediction - label)^2`, both float32 `(num_rows,)`."""
    return ops.square(predictions - labels)


# By the name in `training.loss`: losses that compare a positive with sampled negatives.
WITH_NEGATIVES: dict[str, Callable[[Any, Any], Any]] = {
    "sampled_softmax": sampled_softmax,
    "bce": bce,
    "bpr": bpr,
    "hinge": hinge,
}
# Losses of a row's own score with its label.
OF_ROWS: dict[str, Callable[[Any, Any], Any]] = {"bce": log_loss, "mse": squared_error}
