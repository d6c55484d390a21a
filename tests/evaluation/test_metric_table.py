from __future__ import annotations

import subprocess
import sys

import pytest

from evaluation.metric_table import better, check_gate, metric_names
from settings.evaluation import EvaluationSettings, GateSettings

AT_10 = EvaluationSettings(top_k=(10,))


def test_names_of_a_retrieval_model():
    names = metric_names("retrieval", EvaluationSettings(top_k=(10, 5)))

    assert names[:2] == ("ndcg@5", "ndcg@10")
    assert {"recall@5", "precision@5", "hit_rate@5", "mrr@5", "map@5", "num_queries", "finite", "spread"} < set(names)
    assert "auc" not in names


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"floors": [{"metric": "ndcg@7", "at_least": 0.1}]}, r"gate\.floors\.0\.metric: 'ndcg@7'.*ndcg@10"),
        ({"floors": [{"metric": "auc", "at_least": 0.1}]}, "'auc' is not measured for a retrieval model"),
        ({"floors": [{"metric": "ndcg@10"}]}, r"gate\.floors\.0: has no bound"),
        ({"popularity_metric": "rmse"}, r"gate\.popularity_metric: 'rmse'"),
        ({"popularity_metric": "num_queries"}, "has no better side"),
        ({"regressions": [{"metric": "spread"}]}, r"gate\.regressions\.0\.metric: 'spread'"),
    ],
)
def test_unknown_names_are_refused(gate, message):
    with pytest.raises(ValueError, match=message):
        check_gate(GateSettings.model_validate(gate), "retrieval", AT_10)


def test_known_names_are_accepted():
    gate = {"floors": [{"metric": "calibration", "at_most": 1.1}], "popularity_metric": "auc"}
    gate["regressions"] = [{"metric": "log_loss"}]

    check_gate(GateSettings.model_validate(gate), "ranking", AT_10)


@pytest.mark.parametrize("task", ["retrieval", "ranking", "rating"])
def test_every_compared_metric_is_measured_by_some_task(task):
    assert any(better(name) for name in metric_names(task, AT_10))


def test_import_brings_no_framework():
    code = (
        "import sys, evaluation.metric_table, evaluation.gate; print({'tensorflow', 'apache_beam'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert printed.strip() == "set()"
