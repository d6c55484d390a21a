"""From a metric with and without each group of users to what TFMA writes: values, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from evaluation.intervals import jackknife_errors

# What stands behind a metric's name: `ndcg.error` is the standard error of `ndcg`.
ERROR = "error"
NUM_GROUPS = "num_groups"
# Of the paired differences, candidate minus baseline and model minus popularity.
DIFFERENCE_ERROR = "difference_error"
LIFT_ERROR = "lift_error"


class Estimates:
    """The keys of one combiner and what it fills them with.

    Values and errors go by model and output; the errors of paired differences by the candidate's own output. Values
    have the order model, output, metric: the first model is the candidate, the first output its own, and a second
    model is the baseline, a second output popularity's.

    Args:
      names: metrics without a cut-off.
      model_names: candidate and, if any, baseline.
      output_names: the model's own and, if any, popularity's.
      names_at_k: metrics with a cut-off; these come first.
      top_k: their cut-offs.
    """

    def __init__(
        self,
        names: Iterable[str],
        model_names: Sequence[str],
        output_names: Sequence[str],
        names_at_k: Iterable[str] = (),
        top_k: Sequence[int] = (),
    ) -> None:
        sub_keys = [metric_types.SubKey(top_k=k) for k in top_k]
        metrics = [(name, sub_key) for name in names_at_k for sub_key in sub_keys]
        metrics += [(name, None) for name in names]
        self.shape = (len(model_names), len(output_names), len(metrics))

        def keys(suffix: str, models: Iterable[str], outputs: Iterable[str]) -> list[metric_types.MetricKey]:
            return [
                metric_types.MetricKey(name + suffix, model_name=model, output_name=output, sub_key=sub_key)
                for model in models
                for output in outputs
                for name, sub_key in metrics
            ]

        own = (model_names[:1], output_names[:1])
        parts = {"": (model_names, output_names), f".{ERROR}": (model_names, output_names), f".{NUM_GROUPS}": own}
        if len(model_names) > 1:
            parts[f".{DIFFERENCE_ERROR}"] = own
        if len(output_names) > 1:
            parts[f".{LIFT_ERROR}"] = own
        self.keys = [key for suffix, where in parts.items() for key in keys(suffix, *where)]

    @property
    def num_values(self) -> int:
        """How many metrics there are, over all models and outputs."""
        return int(np.prod(self.shape))

    def fill(
        self, estimate: np.ndarray, left_out: np.ndarray, sizes: np.ndarray
    ) -> dict[metric_types.MetricKey, float]:
        """Return the value of each key.

        Args:
          estimate: float64 `(num_values,)`.
          left_out: float64 `(num_groups, num_values)`, without each group of users.
          sizes: float64 `(num_groups, num_values)` or `(num_groups, 1)`, weight of each group.
        """
        _, num_outputs, rest = self.shape
        errors, num_groups = jackknife_errors(estimate, left_out, sizes)
        own = slice(0, rest)
        sizes = np.broadcast_to(sizes, left_out.shape)
        values = [estimate, errors, num_groups[own]]
        # Where the values of the baseline's own output and of the candidate's other output begin.
        others = ([num_outputs * rest] if self.shape[0] > 1 else []) + ([rest] if num_outputs > 1 else [])
        for start in others:
            other = slice(start, start + rest)
            difference = left_out[:, own] - left_out[:, other]
            values.append(jackknife_errors(estimate[own] - estimate[other], difference, sizes[:, own])[0])
        return dict(zip(self.keys, np.concatenate(values).tolist(), strict=True))
