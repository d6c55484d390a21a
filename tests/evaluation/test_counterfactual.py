from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.counterfactual import Counterfactual
from tests.evaluation.combining import combine, extracts

METRIC = Counterfactual([1, 3], "liked", "propensity_score")


def _obp(reward: np.ndarray, propensity: np.ndarray, actions: np.ndarray, dist: np.ndarray) -> dict[str, float]:
    """Return the estimates as `obp.ope.estimators` computes them.

    Args:
      reward: of each round.
      propensity: `pscore`.
      actions: index of the action shown.
      dist: `action_dist`, `(num_rounds, num_actions)`, of the evaluated policy.
    """
    rounds = np.arange(len(reward))
    # InverseProbabilityWeighting._estimate_round_rewards
    iw = dist[rounds, actions] / propensity
    ipw = reward * iw
    # SelfNormalizedInverseProbabilityWeighting
    snipw = reward * iw / iw.mean()
    # DoublyRobust, estimated_rewards_by_reg_model the mean reward for every action
    q_hat = np.full(dist.shape, reward.mean())
    q_factual = q_hat[rounds, actions]
    dr = np.average(q_hat, weights=dist, axis=1) + iw * (reward - q_factual)
    return {"ips": ipw.mean(), "snips": snipw.mean(), "doubly_robust": dr.mean()}


@pytest.mark.parametrize("seed", range(2))
def test_random_logs_agree_with_the_formulas_of_obp(seed):
    rng = np.random.default_rng(seed)
    num_actions, num_rounds = 8, 300
    logging = rng.dirichlet(np.ones(num_actions), num_rounds) * 0.9 + 0.1 / num_actions
    actions = np.array([rng.choice(num_actions, p=row / row.sum()) for row in logging])
    propensity = logging[np.arange(num_rounds), actions]
    reward = rng.binomial(1, 0.1 + 0.08 * actions).astype(float)
    ranks = np.argsort(np.argsort(rng.normal(size=(num_rounds, num_actions)))) + 1.0
    queries = [
        extracts(
            np.ones(len(rows)),
            {"liked": reward[rows], "propensity_score": propensity[rows]},
            rank=ranks[rows, actions[rows]],
        )
        for rows in np.array_split(np.arange(num_rounds), 120)
    ]

    metrics = combine(METRIC, queries, ["rank"], seed=seed)

    for k in (1, 3):
        for name, value in _obp(reward, propensity, actions, (ranks <= k) / k).items():
            assert metrics[f"{name}@{k}", "", "rank"] == pytest.approx(value, abs=1e-9)


def test_rows_without_a_propensity_are_left_out():
    query = extracts([1] * 4, {"liked": [1, 1, 0, 1], "propensity_score": [0.5, np.nan, 0.25, 0]}, rank=[1, 1, 2, 1])
    metrics = combine(METRIC, [query], ["rank"])

    assert metrics["ips@1", "", "rank"] == (1 / 0.5) / 2
    assert metrics["ips@3", "", "rank"] == pytest.approx((1 / 3 / 0.5) / 2)
    assert metrics["snips@3", "", "rank"] == pytest.approx((1 / 0.5) / (1 / 0.5 + 1 / 0.25))
    assert metrics["effective_share@1", "", "rank"] == 1 / 2
