from __future__ import annotations

import json

import pytest

from evaluation.gate import Decision, MetricRow, decide
from settings.evaluation import GateSettings

NAN, INF = float("nan"), float("inf")


def _rows(values: dict[str, tuple[float | None, ...]], slice_: str = "overall") -> list[MetricRow]:
    """Return rows from name to (value, baseline, popularity)."""
    return [MetricRow(slice_, name, *numbers) for name, numbers in values.items()]


def _healthy(**values: tuple[float | None, ...]) -> list[MetricRow]:
    """Return the rows of a candidate that has nothing wrong but what `values` say (`ndcg` for `ndcg@10`)."""
    named = {name.replace("_at_", "@"): numbers for name, numbers in values.items()}
    return _rows({"num_queries": (100.0,), "finite": (1.0,), "spread": (2.0,), **named})


def _gate(**sections) -> GateSettings:
    return GateSettings.model_validate(sections or {"floors": [{"metric": "num_queries", "at_least": 1}]})


def _refused(decision: Decision) -> list[str]:
    return [verdict.name for verdict in decision.verdicts if not verdict.passed]


def test_healthy_candidate_is_blessed():
    decision = decide(_healthy(ndcg_at_10=(0.3, None, 0.2)), _gate(popularity_metric="ndcg@10"))

    assert decision.blessed
    assert [verdict.name for verdict in decision.verdicts] == ["num_queries", "finite", "spread", "ndcg@10", "ndcg@10"]


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ({"num_queries": (0.0,)}, "num_queries"),
        ({"num_queries": (None,)}, "num_queries"),
        ({"finite": (0.9999,)}, "finite"),
        ({"finite": (NAN,)}, "finite"),
        ({"spread": (0.0,)}, "spread"),
        ({"spread": (NAN,)}, "spread"),
        ({"spread": (INF,)}, "spread"),
    ],
)
def test_sick_candidate_is_never_blessed(rows, name):
    assert set(_refused(decide([*_healthy(), *_rows(rows)], _gate()))) == {name}


def test_empty_evaluation_is_never_blessed():
    assert _refused(decide([], _gate())) == ["num_queries", "finite", "spread", "num_queries"]


def test_gate_without_threshold_blesses_nothing():
    assert _refused(decide(_healthy(), GateSettings())) == ["threshold"]


@pytest.mark.parametrize(
    ("value", "bounds", "blessed"),
    [
        (0.30, {"at_least": 0.3}, True),
        (0.29, {"at_least": 0.3}, False),
        (0.30, {"at_most": 0.3}, True),
        (0.31, {"at_most": 0.3}, False),
        (0.25, {"at_least": 0.2, "at_most": 0.3}, True),
        (0.35, {"at_least": 0.2, "at_most": 0.3}, False),
        (NAN, {"at_least": 0.3}, False),
        (NAN, {"at_most": 0.3}, False),
        (INF, {"at_least": 0.3}, False),
        (-INF, {"at_most": 0.3}, False),
        (None, {"at_least": 0.3}, False),
    ],
)
def test_floors(value, bounds, blessed):
    gate = _gate(floors=[{"metric": "ndcg@10", **bounds}])

    assert decide(_healthy(ndcg_at_10=(value,)), gate).blessed is blessed


def test_floor_on_a_metric_that_was_not_measured_fails():
    assert _refused(decide(_healthy(), _gate(floors=[{"metric": "auc", "at_least": 0.5}]))) == ["auc"]


@pytest.mark.parametrize(
    ("metric", "value", "popularity", "lift", "blessed"),
    [
        ("ndcg@10", 0.23, 0.2, 0.1, True),  # 0.2 * 1.1 = 0.22
        ("ndcg@10", 0.21, 0.2, 0.1, False),
        ("ndcg@10", 0.2, 0.2, 0.0, False),  # a copy of popularity
        ("ndcg@10", 0.2 * (1 + 1e-9), 0.2, 0.0, False),  # a copy, rounded
        ("ndcg@10", 0.01, 0.0, 0.5, True),
        ("ndcg@10", 0.0, 0.0, 0.0, False),
        ("rmse", 0.89, 1.0, 0.1, True),  # 1.0 * (1 - 0.1) = 0.9
        ("rmse", 0.91, 1.0, 0.1, False),
        ("rmse", 1.0, 1.0, 0.0, False),
        ("rmse", NAN, 1.0, 0.0, False),
        ("ndcg@10", NAN, 0.2, 0.0, False),
        ("ndcg@10", INF, 0.2, 0.0, False),
        ("ndcg@10", 0.3, NAN, 0.0, False),
        ("ndcg@10", 0.3, None, 0.0, False),
    ],
)
def test_popularity_must_be_beaten(metric, value, popularity, lift, blessed):
    rows = [*_healthy(), MetricRow("overall", metric, value, None, popularity)]

    assert decide(rows, _gate(popularity_metric=metric, min_popularity_lift=lift)).blessed is blessed


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "blessed"),
    [
        ("ndcg@10", 0.2, 0.2, True),
        ("ndcg@10", 0.19, 0.2, True),  # 0.2 * (1 - 0.1) = 0.18
        ("ndcg@10", 0.17, 0.2, False),
        ("log_loss", 0.54, 0.5, True),  # 0.5 * (1 + 0.1) = 0.55
        ("log_loss", 0.56, 0.5, False),
        ("log_loss", 0.10, 0.5, True),
        ("ndcg@10", NAN, 0.2, False),
        ("ndcg@10", NAN, NAN, False),
        ("log_loss", -INF, 0.5, False),
        ("ndcg@10", 0.1, NAN, True),  # a baseline without a value cannot be fallen behind
    ],
)
def test_overall_regression(metric, value, baseline, blessed):
    gate = _gate(floors=[{"metric": "finite", "at_least": 1}], regressions=[_regression(metric, 0.1)])

    assert decide([*_healthy(), MetricRow("overall", metric, value, baseline)], gate).blessed is blessed


def _regression(metric: str, overall: float, per_slice: float | None = None) -> dict:
    return {"metric": metric, "max_relative_loss": overall, "max_relative_loss_per_slice": per_slice}


def test_without_baseline_nothing_is_compared():
    gate = _gate(popularity_metric="ndcg@10", regressions=[_regression("ndcg@10", 0.0, 0.0)])
    decision = decide(_healthy(ndcg_at_10=(0.3, None, 0.2)), gate)

    assert decision.blessed
    assert [verdict.reason.split(":")[0] for verdict in decision.verdicts[3:]] == ["popularity", "leak"]


@pytest.mark.parametrize(
    ("queries", "value", "baseline", "per_slice", "refused"),
    [
        (50.0, 0.15, 0.2, 0.2, ["gender=F"]),  # 0.2 * (1 - 0.2) = 0.16
        (50.0, 0.17, 0.2, 0.2, []),
        (49.0, 0.00, 0.2, 0.2, []),  # too few queries to compare
        (50.0, 0.00, 0.2, None, []),  # slices are not compared
        (50.0, NAN, 0.2, 0.2, ["gender=F"]),
        (50.0, NAN, NAN, 0.2, []),  # the metric is not defined on this slice
    ],
)
def test_slices_with_enough_queries_are_compared(queries, value, baseline, per_slice, refused):
    gate = _gate(
        floors=[{"metric": "finite", "at_least": 1}],
        regressions=[_regression("ndcg@10", 0.02, per_slice)],
        min_queries=50,
    )
    rows = [
        *_healthy(ndcg_at_10=(0.3, 0.3)),
        *_rows({"num_queries": (queries,), "ndcg@10": (value, baseline)}, "gender=F"),
    ]

    assert [verdict.slice for verdict in decide(rows, gate).verdicts if not verdict.passed] == refused


def test_reasons_name_the_numbers():
    gate = _gate(floors=[{"metric": "ndcg@10", "at_least": 0.4}], popularity_metric="ndcg@10", min_popularity_lift=0.1)
    verdicts = decide(_healthy(ndcg_at_10=(0.3, None, 0.29)), gate).verdicts

    assert [verdict.reason for verdict in verdicts if not verdict.passed] == [
        "floor: 0.3 is not at least 0.4",
        "popularity: 0.3 is not better than popularity's 0.29 by at least 10.00%",
    ]


def test_json_holds_no_number_that_json_does_not_know():
    decision = decide(_healthy(ndcg_at_10=(NAN, None, 0.2)), _gate(popularity_metric="ndcg@10"))
    plain = json.loads(json.dumps(decision.verdicts[3].to_json(), allow_nan=False))

    assert plain["value"] is None
    assert plain["passed"] is False
    assert "nan" in plain["reason"]
    assert MetricRow("overall", "auc", INF).to_json(0.95)["value"] is None


@pytest.mark.parametrize(("queries", "blessed"), [(20.0, True), (19.0, False), (1.0, False)])
def test_evaluation_of_next_to_nothing_is_never_blessed(queries, blessed):
    rows = [*_healthy(ndcg_at_10=(0.3, None, 0.2)), *_rows({"num_queries": (queries,)})]

    assert decide(rows, _gate(popularity_metric="ndcg@10")).blessed is blessed


def test_labels_of_one_class_are_never_blessed():
    assert _refused(decide([*_healthy(), *_rows({"label_spread": (0.0,)})], _gate())) == ["label_spread"]
    assert decide([*_healthy(), *_rows({"label_spread": (1.0,)})], _gate()).blessed


# Student's t with 49 degrees of freedom: 1.7878 at 96 %, 2.0096 at 97.5 %, 2.1099 at 98 %.
@pytest.mark.parametrize(
    ("metric", "value", "error", "blessed"),
    [
        ("ndcg@10", 0.25, 0.05 / 2.00, False),
        ("ndcg@10", 0.25, 0.05 / 2.02, True),
        ("rmse", 0.15, 0.05 / 2.00, False),
        ("rmse", 0.15, 0.05 / 2.02, True),
        ("ndcg@10", 0.25, 0.0, True),
        ("ndcg@10", 0.25, NAN, False),  # one user alone: how far chance goes is not known
    ],
)
def test_popularity_is_not_beaten_by_noise(metric, value, error, blessed):
    row = MetricRow("overall", metric, value, None, 0.2, lift_error=error, num_groups=50.0)

    assert decide([*_healthy(), row], _gate(popularity_metric=metric)).blessed is blessed


@pytest.mark.parametrize(
    ("metric", "value", "error", "num_metrics", "blessed"),
    [
        ("ndcg@10", 0.15, 0.05 / 1.80, 1, False),  # surely worse, and by 25 % of 0.2
        ("ndcg@10", 0.15, 0.05 / 1.78, 1, True),
        ("ndcg@10", 0.19, 0.01 / 9.00, 1, True),  # surely worse, but by 5 % only
        ("rmse", 0.25, 0.05 / 1.80, 1, False),
        ("rmse", 0.25, 0.05 / 1.78, 1, True),
        ("ndcg@10", 0.15, 0.05 / 2.10, 2, True),  # two comparisons share 4 %
        ("ndcg@10", 0.15, 0.05 / 2.12, 2, False),
        ("ndcg@10", 0.15, NAN, 1, False),
        ("ndcg@10", 0.15, None, 1, False),
    ],
)
def test_noise_does_not_block(metric, value, error, num_metrics, blessed):
    others = ["recall@10", "mrr@10"][: num_metrics - 1]
    gate = _gate(
        floors=[{"metric": "finite", "at_least": 1}],
        regressions=[_regression(name, 0.1) for name in (metric, *others)],
    )
    rows = [MetricRow("overall", metric, value, 0.2, difference_error=error, num_groups=50.0)]
    rows += [MetricRow("overall", name, 0.2, 0.2, difference_error=0.01, num_groups=50.0) for name in others]

    assert decide([*_healthy(), *rows], gate).blessed is blessed


def test_slices_share_the_probability_of_a_false_alarm():
    gate = _gate(floors=[{"metric": "finite", "at_least": 1}], regressions=[_regression("ndcg@10", 0.0, 0.0)])

    def blessed(num_slices: int, ratio: float) -> bool:
        rows = _healthy()
        for index in range(num_slices):
            rows += _rows({"num_queries": (90.0,)}, f"age={index}")
            value = 0.15 if index == 0 else 0.2
            error = 0.05 / ratio
            rows.append(MetricRow(f"age={index}", "ndcg@10", value, 0.2, difference_error=error, num_groups=50.0))
        return decide(rows, gate).blessed

    # Student's t with 49 degrees of freedom at 99 %: 2.4049 for one slice; at 99.9 %: 3.2651 for ten.
    assert [blessed(1, 2.4), blessed(1, 2.41), blessed(10, 3.26), blessed(10, 3.27)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("slice_", "queries", "metric", "value", "popularity", "blessed"),
    [
        ("overall", 100.0, "ndcg@10", 0.97, 0.2, False),
        ("gender=F", 50.0, "ndcg@10", 1.0, 0.2, False),
        ("gender=F", 50.0, "ndcg@10", 0.95, 0.2, True),  # 0.75 / 0.8 = 93.75 %
        ("gender=F", 50.0, "ndcg@10", 0.97, 0.2, False),  # 0.77 / 0.8 = 96.25 %
        ("gender=F", 49.0, "ndcg@10", 1.0, 0.2, True),  # too few queries to tell
        ("gender=F", 50.0, "ndcg@10", 1.0, 1.0, True),  # popularity knows as much
        ("gender=F", 50.0, "rmse", 0.01, 1.0, False),
        ("gender=F", 50.0, "recall@10", 1.0, 0.2, True),  # the gate names another metric
    ],
)
def test_what_is_too_good_to_be_true_is_never_blessed(slice_, queries, metric, value, popularity, blessed):
    named = "rmse" if metric == "rmse" else "ndcg@10"
    gate = _gate(floors=[{"metric": "finite", "at_least": 1}], regressions=[_regression(named, 0.1)])
    rows = [*_healthy(), *_rows({"num_queries": (queries,), metric: (value, None, popularity)}, slice_)]

    assert decide(rows, gate).blessed is blessed


@pytest.mark.parametrize(
    ("metric", "values", "error", "blessed"),
    [
        ("ndcg@10", {"gender=F": 0.2, "gender=M": 0.29}, None, True),  # 1.45 times
        ("ndcg@10", {"gender=F": 0.2, "gender=M": 0.31}, None, False),
        ("ndcg@10", {"gender=F": 0.2, "gender=M": 0.31}, 0.001, False),
        ("ndcg@10", {"gender=F": 0.2, "gender=M": 0.31}, 0.01, True),  # noise explains it
        ("rmse", {"gender=F": 1.6, "gender=M": 1.0}, None, False),
        ("ndcg@10", {"gender=F": 0.0, "gender=M": 0.1}, None, False),
        ("ndcg@10", {"gender=F": 0.2, "age=<25,gender=M": 0.9}, None, True),  # a cross is another family
        ("ndcg@10", {"gender=F": 0.2}, None, True),
    ],
)
def test_fairness_between_the_slices_of_a_feature(metric, values, error, blessed):
    gate = _gate(
        floors=[{"metric": "finite", "at_least": 1}],
        fairness=[{"metric": metric, "feature": "gender", "max_ratio": 1.5}],
    )
    rows = _healthy()
    for slice_, value in values.items():
        rows += _rows({"num_queries": (60.0,)}, slice_)
        rows.append(MetricRow(slice_, metric, value, error=error, num_groups=50.0))

    assert decide(rows, gate).blessed is blessed


def test_intervals_are_written_where_errors_are_known():
    row = MetricRow("overall", "auc", 0.8, 0.7, None, error=0.01, difference_error=0.02, num_groups=50.0)
    plain = row.to_json(0.95)

    assert plain["interval"] == pytest.approx([0.8 - 0.020096, 0.8 + 0.020096], abs=1e-6)
    assert plain["difference_interval"] == pytest.approx([0.1 - 0.040192, 0.1 + 0.040192], abs=1e-6)
    assert "lift_interval" not in plain
