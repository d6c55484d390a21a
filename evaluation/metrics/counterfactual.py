"""What a recommender would earn if it had chosen, from logs of another policy with known propensities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from evaluation.intervals import NUM_GROUPS
from evaluation.metrics import row_values
from evaluation.metrics.estimates import Estimates

NAMES_AT_K = ("ips", "snips", "doubly_robust", "effective_share")


class Counterfactual(metric_types.Metric):
    """Off-policy value, by inverse propensity scores, of showing one of the model's k best items at random.

    Each row is an item that the logging policy showed, chosen with propensity `p`, and its reward `r`. With the item's
    rank by the model, the evaluated policy would have shown it with probability `pi`:

        pi              = 1 / k if rank <= k else 0
        w               = pi / p
        ips             = mean(w r)
        snips           = sum(w r) / sum(w)
        doubly_robust   = mean(q) + mean(w (r - q)), q the mean reward of the logs, whatever is shown
        effective_share = sum(w)^2 / (n sum(w^2)), the share of rows that carry the estimate

    IPS and doubly robust are unbiased where every item that the model may show had a propensity above 0; SNIPS is
    consistent, and lies within the rewards. The reward model of the doubly robust estimate is the simplest there is: it
    reduces variance where all weights move together, and cannot correct wrong propensities. Rows whose propensity is
    absent or not in (0, 1] are left out. SNIPS is NaN where no row was one that the model would show.

    Args:
      top_k: cut-offs.
      reward_key: feature that holds the reward.
      propensity_key: feature that holds the propensity.
      name: name of the group; the metrics have the names above.

    References: Swaminathan and Joachims, NeurIPS 2015 (SNIPS); Dudik et al., ICML 2011,
    https://arxiv.org/abs/1103.4601 (doubly robust); Saito et al., https://arxiv.org/abs/2008.07146 (Open Bandit).
    """

    def __init__(
        self, top_k: Sequence[int], reward_key: str, propensity_key: str, name: str = "counterfactual"
    ) -> None:
        super().__init__(
            _counterfactual, top_k=list(top_k), reward_key=reward_key, propensity_key=propensity_key, name=name
        )


metric_types.register_metric(Counterfactual)


def off_policy_values(sums: np.ndarray) -> np.ndarray:
    """Return the metrics from sums over rows.

    Args:
      sums: float64 `(5, ...)`, sums of 1, r, w, w r and w^2.

    Returns:
      float64 `(len(NAMES_AT_K), ...)`.

    Example:
      >>> off_policy_values(np.array([4.0, 1.0, 2.0, 2.0, 4.0]))  # one row of four is shown, w = 2, r = 1
      array([0.5  , 1.   , 0.625, 0.25 ])
    """
    num_rows, reward, weight, weighted_reward, squared_weight = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = reward / num_rows
        return np.stack(
            [
                weighted_reward / num_rows,
                weighted_reward / weight,
                mean + (weighted_reward - mean * weight) / num_rows,
                np.square(weight) / (num_rows * squared_weight),
            ]
        )


def _counterfactual(
    top_k: list[int],
    reward_key: str,
    propensity_key: str,
    name: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    """Return the one computation of all metrics, cut-offs, models and outputs."""
    del name
    models, outputs = model_names or [""], output_names or [""]
    estimates = Estimates((), models, outputs, NAMES_AT_K, top_k)
    rows = _WeightedRows(models, outputs, top_k, reward_key, propensity_key)
    combiner = _SumsCombiner(estimates, len(models) * len(outputs), len(top_k))
    return [metric_types.MetricComputation(estimates.keys, [rows], combiner)]


class _Sums(NamedTuple):
    """Sums of one query, float64 `(5, num_outputs, num_k)`, and its user's group."""

    group: int
    sums: np.ndarray


class _WeightedRows(metric_types.Preprocessor):
    """From the rows of a query to sums of their weights and rewards."""

    def __init__(
        self,
        model_names: Sequence[str],
        output_names: Sequence[str],
        top_k: Sequence[int],
        reward_key: str,
        propensity_key: str,
    ) -> None:
        super().__init__(name=f"weighted_rows:{model_names}:{output_names}:{top_k}:{reward_key}:{propensity_key}")
        self._model_names = list(model_names)
        self._output_names = list(output_names)
        self._top_k = list(top_k)
        self._reward_key = reward_key
        self._propensity_key = propensity_key

    def process(self, extracts: types.Extracts) -> Iterator[_Sums]:
        """Yield the sums."""
        propensity = row_values.feature(extracts, self._propensity_key)
        logged = (propensity > 0) & (propensity <= 1)
        reward = row_values.feature(extracts, self._reward_key)[logged]
        ranks = row_values.outputs(extracts, self._model_names, self._output_names)[:, logged]
        ks = np.asarray(self._top_k)[:, None]
        weight = (ranks[:, None, :] <= ks) / ks / propensity[logged]  # (num_outputs, num_k, num_rows)
        parts = (np.ones_like(weight), np.broadcast_to(reward, weight.shape), weight, weight * reward, weight**2)
        yield _Sums(row_values.group(extracts), np.stack([part.sum(axis=2) for part in parts]))


class _SumsCombiner(beam.CombineFn):
    """Sums by group of users, float64 `(NUM_GROUPS, 5, num_outputs, num_k)`."""

    def __init__(self, estimates: Estimates, num_outputs: int, num_k: int) -> None:
        self._estimates = estimates
        self._shape = (NUM_GROUPS, 5, num_outputs, num_k)

    def create_accumulator(self) -> np.ndarray:
        return np.zeros(self._shape)

    def add_input(self, accumulator: np.ndarray, element: _Sums) -> np.ndarray:
        accumulator[element.group] += element.sums
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        return sum(accumulators, self.create_accumulator())

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        total = accumulator.sum(axis=0)
        # In the order output, metric, cut-off.
        estimate = np.moveaxis(off_policy_values(total), 0, 1).reshape(-1)
        left_out = off_policy_values(np.moveaxis(total - accumulator, 1, 0))  # (metric, group, output, k)
        left_out = np.moveaxis(left_out, 0, 2).reshape(NUM_GROUPS, -1)
        return self._estimates.fill(estimate, left_out, accumulator[:, 0, 0, :1])
