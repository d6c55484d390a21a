"""How often noise alone makes the gate bless or block, and how often it blocks a true loss.

make bench-gate       # writes benchmarks/results/gate_study.json

Seeded. Ranks are drawn, everything behind them is the code that the Evaluator runs: the metric, the combiner with its
jackknife, the gate with its default settings. Each of the 2,000 queries has 1 + Poisson(2) relevant items; a relevant
item's rank is N^Phi(z), log-uniform over a catalogue of N = 1,000, with

    z = sqrt(0.1) user + sqrt(0.2) query + sqrt(0.7 - m) item + sqrt(m) model

standard normals each, of which two models share all but the last: m = 0.1 stands for two trainings of one model,
m = 0.2 for two different models; how their queries correlate is printed. A true loss of 5 % takes each relevant item
out of the candidate's list with probability 0.05: DCG is linear in the items found, so the expected NDCG falls by
exactly 5 %. Popularity's z lies 0.4 higher (worse); in the study of popularity copies the candidate's does, too.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmarks.measurement import record
from evaluation.gate import MetricRow, decide
from evaluation.intervals import NUM_GROUPS, group_of
from evaluation.metrics.catalogue_ranking import NAMES, NAMES_AT_K, ranking_values
from evaluation.metrics.estimates import Estimates
from evaluation.metrics.query_means import QueryMeansCombiner, QueryValues
from settings.evaluation import GateSettings

METRIC, TOP_K = "ndcg@10", [10]
NUM_ITEMS, NUM_SLICES = 1000, 5
QUERIES_A_USER = 4
MODELS, OUTPUTS = ("candidate", "baseline"), ("rank", "popularity_rank")
GATE = GateSettings(
    popularity_metric=METRIC,
    regressions=({"metric": METRIC, "max_relative_loss_per_slice": 0.1},),
)


def draw(
    rng: np.random.Generator, num_queries: int, loss: float, copies_popularity: bool, model_share: float
) -> list[QueryValues]:
    """Return the metrics of one pair's queries: candidate and baseline, each with popularity's ranks."""
    num_users = num_queries // QUERIES_A_USER
    users = np.arange(num_queries) % num_users
    of_query = np.sqrt(0.1) * rng.normal(size=num_users)[users] + np.sqrt(0.2) * rng.normal(size=num_queries)
    num_relevant = 1 + rng.poisson(2, num_queries)
    values = np.empty((num_queries, 4, len(NAMES_AT_K) + len(NAMES)))
    for n in np.unique(num_relevant):  # queries with equally many relevant items at once
        rows = np.flatnonzero(num_relevant == n)
        shared = of_query[rows, None] + np.sqrt(0.7 - model_share) * rng.normal(size=(len(rows), n))
        z = shared + np.sqrt(model_share) * rng.normal(size=(3, len(rows), n))  # candidate, baseline, popularity
        z[2] += 0.4
        if copies_popularity:
            z[0] += 0.4
        ranks = distinct(np.ceil(NUM_ITEMS ** ndtr(z)))
        ranks[0][rng.random((len(rows), n)) < loss] = np.inf
        of_models, popularity = ranks[[0, 2, 1, 2]].reshape(-1, n), np.tile(ranks[2], (4, 1))
        values[rows] = ranking_values(of_models, popularity, TOP_K).reshape(4, len(rows), -1).swapaxes(0, 1)
    groups = [group_of(b"%d" % user) for user in range(num_users)]
    return [QueryValues(groups[user], query.reshape(-1)) for user, query in zip(users, values, strict=True)]


def distinct(ranks: np.ndarray) -> np.ndarray:
    """Return ranks with no two alike: of two that are, the second goes one down; the last axis is a row."""
    order = np.argsort(ranks, axis=-1)
    places = np.arange(ranks.shape[-1])
    ascending = np.maximum.accumulate(np.take_along_axis(ranks, order, axis=-1) - places, axis=-1) + places
    result = np.empty_like(ranks)
    np.put_along_axis(result, order, ascending, axis=-1)
    return result


def judge(queries: list[QueryValues]) -> tuple[list[MetricRow], dict[str, bool]]:
    """Return the rows of the metric, and by rule of the gate whether it passed on all slices."""
    estimates = Estimates(NAMES, MODELS, OUTPUTS, NAMES_AT_K, TOP_K)
    combiner = QueryMeansCombiner(estimates, [])
    slices = {"overall": queries} | {
        f"age={part}": [query for index, query in enumerate(queries) if index % NUM_SLICES == part]
        for part in range(NUM_SLICES)
    }
    rows = [MetricRow("overall", "finite", 1.0), MetricRow("overall", "spread", 1.0)]
    for name, members in slices.items():
        accumulator = combiner.create_accumulator()
        for query in members:
            accumulator = combiner.add_input(accumulator, query)
        found = {
            (key.name, key.model_name, key.output_name): value
            for key, value in combiner.extract_output(accumulator).items()
            if key.sub_key is not None and key.name.startswith("ndcg")
        }
        own = ("candidate", "rank")
        rows.append(MetricRow(name, "num_queries", float(len(members))))
        rows.append(
            MetricRow(
                name,
                METRIC,
                value=found["ndcg", *own],
                baseline=found["ndcg", "baseline", "rank"],
                popularity=found["ndcg", "candidate", "popularity_rank"],
                difference_error=found["ndcg.difference_error", *own],
                lift_error=found["ndcg.lift_error", *own],
                num_groups=found["ndcg.num_groups", *own],
            )
        )
    passed: dict[str, bool] = {}
    for verdict in decide(rows, GATE).verdicts:
        rule = verdict.reason.partition(":")[0] if verdict.name == METRIC else verdict.name
        passed[rule] = passed.get(rule, True) and verdict.passed
    return rows, passed


def study(
    num_pairs: int,
    num_queries: int,
    seed: int,
    loss: float = 0.0,
    copies_popularity: bool = False,
    model_share: float = 0.1,
) -> dict[str, Any]:
    """Return how often each rule refused, over all pairs."""
    rng = np.random.default_rng(seed)
    refused = {"baseline": 0, "popularity": 0}
    naive = {"baseline": 0, "popularity": 0}
    correlations, differences, baselines = [], [], []
    for _ in range(num_pairs):
        queries = draw(rng, num_queries, loss, copies_popularity, model_share)
        rows, passed = judge(queries)
        for rule in refused:
            refused[rule] += not passed[rule]
        overall = next(row for row in rows if (row.slice, row.name) == ("overall", METRIC))
        assert overall.value is not None
        assert overall.baseline is not None
        assert overall.popularity is not None
        naive["baseline"] += overall.value < overall.baseline * 0.98
        naive["popularity"] += overall.value <= overall.popularity
        # NDCG stands first among the metrics of each model and output.
        values = np.array([query.values for query in queries])
        width = values.shape[1] // 4
        correlations.append(np.corrcoef(values[:, 0], values[:, 2 * width])[0, 1])
        differences.append(overall.value - overall.baseline)
        baselines.append(overall.baseline)
    return {
        "pairs": num_pairs,
        "queries": num_queries,
        "true_relative_loss": loss,
        "refused_as_worse_than_baseline": refused["baseline"] / num_pairs,
        "refused_as_not_better_than_popularity": refused["popularity"] / num_pairs,
        "the_same_without_intervals": {rule: count / num_pairs for rule, count in naive.items()},
        "mean_baseline": round(float(np.mean(baselines)), 4),
        "mean_relative_difference": round(float(np.mean(differences) / np.mean(baselines)), 4),
        "correlation_of_paired_queries": round(float(np.mean(correlations)), 3),
    }


def main() -> None:
    """Run the three studies and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261121)
    options = parser.parse_args()
    started = time.perf_counter()
    sized = (options.pairs, options.queries, options.seed)
    zero, loss = study(*sized), study(*sized, loss=0.05)
    copy = study(*sized, copies_popularity=True)
    others = {"zero": study(*sized, model_share=0.2), "loss": study(*sized, loss=0.05, model_share=0.2)}
    result = {
        "seed": options.seed,
        "groups_of_users": NUM_GROUPS,
        "confidence": GATE.confidence,
        "blocked_by_noise": zero["refused_as_worse_than_baseline"],
        "blessed_by_noise": 1.0 - copy["refused_as_not_better_than_popularity"],
        "true_losses_blocked": loss["refused_as_worse_than_baseline"],
        "no_difference_to_the_baseline": zero,
        "five_percent_loss": loss,
        "no_difference_to_popularity": copy,
        "different_models": others,
        "seconds": round(time.perf_counter() - started, 1),
    }
    record("gate_study", result)


if __name__ == "__main__":
    main()
