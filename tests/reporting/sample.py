"""A run as it might have been, for the tests of everything that shows runs."""

from __future__ import annotations

from typing import Any

from reporting.summary import (
    GateRecord,
    MetricRecord,
    NodeRecord,
    SplitRecord,
    Summary,
    TrainingRecord,
)

UPSTREAM = {
    "ExampleGen": (),
    "StatisticsGen": ("ExampleGen",),
    "SchemaGen": ("StatisticsGen",),
    "ExampleValidator": ("StatisticsGen", "SchemaGen"),
    "Transform": ("ExampleGen", "SchemaGen", "ExampleValidator"),
    "Trainer": ("ExampleGen", "Transform"),
    "BaselineResolver": ("Trainer",),
    "Evaluator": ("ExampleGen", "Trainer", "BaselineResolver"),
    "InfraValidator": ("ExampleGen", "Trainer"),
    "Pusher": ("Trainer", "Evaluator", "InfraValidator"),
}
SECONDS = (7.1, 6.2, 0.4, 0.3, 19.8, 31.5, 0.1, 21.2, 9.4, 1.3)
SPLITS = (
    ("train", 80000, 751, 1616, 874724710, 888259984),
    ("eval", 10000, 210, 1301, 888260025, 891033261),
    ("test", 10000, 199, 1417, 891033261, 893286638),
    ("items", 1682, 0, 1682, None, None),
    ("users", 943, 943, 0, 874724927, 893286638),
)
# slice -> queries, candidate, baseline, popularity
NDCG = {
    "overall": (1500, 0.2131, 0.2089, 0.1502),
    "gender=F": (420, 0.1987, 0.1990, 0.1371),
    "gender=M": (1080, 0.2187, 0.2127, 0.1553),
    "user_event_count=<10": (310, 0.1604, 0.1571, 0.1498),
    "user_event_count=10-50": (690, 0.2105, 0.2066, 0.1517),
    "user_event_count=>=50": (500, 0.2493, 0.2443, 0.1484),
}


# As the Evaluator of a ranking and of a retrieval model would write them.
DETAILS: dict[str, Any] = {
    "score_histogram": {
        whose: [
            [100.0] * 50,
            [100 * (index + 0.5) / 50 for index in range(50)],
            [100 * ((index + 0.5) / 50) ** power for index in range(50)],
        ]
        for whose, power in (("candidate", 1.1), ("popularity", 0.7))
    },
    "popularity_profile": {"candidate": [[0.0, 5, 20, 60, 90, 30] + [0.0] * 18, [2.0, 20, 60, 80, 40, 5] + [0.0] * 18]},
    "examples": [
        {
            "user_id": "196",
            "history": ["Brazil (1985)", "Alien (1979)"],
            "recommended": [{"title": "Blade Runner (1982)", "score": 3.1}, {"title": "<b>Heat</b>", "score": 2.0}],
        }
    ],
}


def metrics() -> tuple[MetricRecord, ...]:
    rows = []
    for name, (queries, value, baseline, popularity) in NDCG.items():
        half = 0.4 / queries**0.5
        rows.append(
            MetricRecord(
                slice=name,
                name="ndcg@10",
                value=value,
                baseline=baseline,
                popularity=popularity,
                interval=(value - half, value + half),
                difference_interval=(value - baseline - half / 3, value - baseline + half / 3),
                lift_interval=(value - popularity - half / 2, value - popularity + half / 2),
            )
        )
        for metric, factor in (("recall@10", 0.9), ("hit_rate@10", 1.7), ("mrr@10", 1.1)):
            rows.append(
                MetricRecord(
                    slice=name,
                    name=metric,
                    value=value * factor,
                    baseline=baseline * factor,
                    popularity=popularity * factor,
                )
            )
        rows.append(MetricRecord(slice=name, name="num_queries", value=float(queries)))
    return tuple(rows)


def sample(**changes: Any) -> Summary:
    """Return a run that pushed version 3; `changes` replace fields."""
    fields: dict[str, Any] = {
        "run_id": "20260103-020000",
        "name": "movielens_100k",
        "runner": "local",
        "started_at": "2026-01-03T02:00:00+00:00",
        "seconds": 118.4,
        "config": {
            "name": "movielens_100k",
            "model": {"name": "sasrec", "embedding_dim": 64},
            "gate": {"popularity_metric": "ndcg@10"},
        },
        "source": "MovieLens 100K, official archive",
        "data": {
            name: SplitRecord(rows=rows, users=users, items=items, first_timestamp=first, last_timestamp=last)
            for name, rows, users, items, first, last in SPLITS
        },
        "quarantined": 0,
        "nodes": tuple(
            NodeRecord(name=name, state="complete", seconds=seconds, upstream=upstream)
            for (name, upstream), seconds in zip(UPSTREAM.items(), SECONDS, strict=True)
        ),
        "training": TrainingRecord(
            epochs=tuple(
                {
                    "epoch": float(epoch),
                    "loss": 7.4 - 1.6 * (1 - 0.8**epoch),
                    "val_loss": 7.3 - 1.1 * (1 - 0.75**epoch) + 0.004 * epoch**1.3,
                    "ndcg@10": 0.21 * (1 - 0.7**epoch),
                }
                for epoch in range(1, 13)
            ),
            examples_per_second=21400.0,
        ),
        "metrics": metrics(),
        "gate": (
            GateRecord(name="finite scores", value=1.0, bound=1.0, passed=True, reason="all scores are finite"),
            GateRecord(
                name="ndcg@10 above popularity", value=0.2131, bound=0.1652, passed=True,
                reason="0.2131 beats popularity's 0.1502 by 41.9 %, 10 % were asked for",
            ),
            GateRecord(
                name="ndcg@10 regression", slice="gender=F", value=0.1987, bound=0.1930, passed=True,
                reason="0.2 % below the baseline's 0.1990, 3 % are allowed",
            ),
        ),
        "blessed": True,
        "infra_blessed": True,
        "pushed_path": "output/serving/movielens_100k/3",
        "version": 3,
        "newly_pushed": True,
        "exit_code": 0,
    }  # fmt: skip
    return Summary(**(fields | changes))
