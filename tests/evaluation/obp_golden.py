"""Rounds of a logging policy, and what the package `obp` estimates from them.

`obp` wants an older NumPy than the lock, so it has an environment of its own, and its numbers are kept in a file:

    python3.11 -m venv ENV
    ENV/bin/pip install "numpy<2" "scipy<1.14" pandas scikit-learn matplotlib seaborn tqdm pyyaml mypy_extensions torch
    ENV/bin/pip install setuptools pyieoe && ENV/bin/pip install --no-deps obp==0.4.1
    ENV/bin/python -m tests.evaluation.obp_golden > tests/evaluation/obp_golden.json
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

NUM_ROUNDS, NUM_ACTIONS, TOP_K = 300, 8, (1, 3)


class Rounds(NamedTuple):
    """What was logged, and what another model thinks.

    Attributes:
      reward: float64 `(NUM_ROUNDS,)`, 0 or 1.
      propensity: float64 `(NUM_ROUNDS,)`, with which the action was shown.
      actions: int `(NUM_ROUNDS,)`.
      ranks: float64 `(NUM_ROUNDS, NUM_ACTIONS)`, from 1 on, that the other model gives each action.
    """

    reward: np.ndarray
    propensity: np.ndarray
    actions: np.ndarray
    ranks: np.ndarray


def logged_rounds(seed: int) -> Rounds:
    """Return rounds; `RandomState` gives the same numbers in every version of NumPy."""
    rng = np.random.RandomState(seed)
    logging = 0.1 + rng.random_sample((NUM_ROUNDS, NUM_ACTIONS))
    logging /= logging.sum(axis=1, keepdims=True)
    actions = (rng.random_sample((NUM_ROUNDS, 1)) > np.cumsum(logging, axis=1)[:, :-1]).sum(axis=1)
    reward = (rng.random_sample(NUM_ROUNDS) < 0.1 + 0.08 * actions).astype(np.float64)
    ranks = np.argsort(np.argsort(rng.random_sample((NUM_ROUNDS, NUM_ACTIONS)), axis=1), axis=1) + 1.0
    return Rounds(reward, logging[np.arange(NUM_ROUNDS), actions], actions, ranks)


def main() -> None:
    """Print the estimates of `obp` as JSON, by seed, metric and cut-off."""
    from obp.ope import (  # type: ignore[import-not-found]
        DoublyRobust,
        InverseProbabilityWeighting,
        SelfNormalizedInverseProbabilityWeighting,
    )

    estimates: dict[str, dict[str, float]] = {}
    for seed in (0, 1):
        rounds = logged_rounds(seed)
        logged = {"reward": rounds.reward, "action": rounds.actions, "pscore": rounds.propensity}
        # The simplest reward model: every action is worth the mean.
        rewards = np.full((NUM_ROUNDS, NUM_ACTIONS, 1), rounds.reward.mean())
        found = estimates.setdefault(str(seed), {})
        for k in TOP_K:
            shown = {"action_dist": ((rounds.ranks <= k) / k)[:, :, None]}
            found[f"ips@{k}"] = InverseProbabilityWeighting().estimate_policy_value(**logged, **shown)
            found[f"snips@{k}"] = SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**logged, **shown)
            found[f"doubly_robust@{k}"] = DoublyRobust().estimate_policy_value(
                **logged, **shown, estimated_rewards_by_reg_model=rewards
            )
    print(json.dumps(estimates, indent=1))


if __name__ == "__main__":
    main()
