from __future__ import annotations

import json
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import pytest
from tfx.components.evaluator import constants
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.evaluator import Evaluator, Executor
from settings.errors import ConfigError, DataError, InfraValidationError
from tests.evaluation.echo import config, echo_models, save_echo, write_rows  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("echo_models")

NAN, INF = float("nan"), float("inf")
BEATS_POPULARITY = {"popularity_metric": "ndcg@10"}


def _row(index: int, **columns: Any) -> dict[str, Any]:
    """Return a row of which the candidate thinks more than popularity and the baseline do."""
    row = {
        "user_id": f"u{index % 4}",
        "item_id": f"i{index}",
        "query_id": f"u{index % 4}@{index}",
        "gender": "F" if index % 2 else "M",
        "genres": ["Comedy", "Drama"] if index % 3 else ["Drama"],
        "user_event_count": 5 * index,
        "relevant": 1.0,
        "liked": float(index % 2),
        "rating": float(1 + index % 5),
        "rank": 1.0,
        "popularity_rank": 3.0,
        "finite": 1.0,
        "spread": 2.0,
        "score": 0.2 + 0.6 * (index % 2),
        "popularity_score": 0.5 + 0.01 * index,
        "blessed_rank": 2.0,
        "blessed_popularity_rank": 3.0,
        "blessed_finite": 1.0,
        "blessed_spread": 2.0,
    }
    return {**row, **columns}


Evaluate = Callable[..., standard_artifacts.ModelBlessing]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """Run the executor on rows; return the blessing artifact."""

    def once(rows: list[dict], task: str = "retrieval", baseline: str | None = None, **sections: Any) -> Any:
        write_rows(tmp_path / "examples" / "Split-test" / "data_tfrecord-00000-of-00001.gz", rows)
        save_echo(tmp_path / "model", task)
        inputs = {
            "examples": [
                _artifact(standard_artifacts.Examples, tmp_path / "examples", split_names='["train", "test"]')
            ],
            "model": [_artifact(standard_artifacts.Model, tmp_path / "model", id=7)],
            "baseline_model": [],
        }
        if baseline:
            save_echo(tmp_path / "baseline", baseline, prefix="blessed_")
            inputs["baseline_model"] = [_artifact(standard_artifacts.Model, tmp_path / "baseline", id=3)]
        return _run(tmp_path, inputs, config(task, **sections).to_json())

    return once


def _artifact(kind: type, folder: Path, **fields: Any) -> Any:
    artifact = kind()
    artifact.uri = str(folder)
    for name, value in fields.items():
        setattr(artifact, name, value)
    return artifact


def _run(tmp_path: Path, inputs: dict[str, list], blob: str) -> Any:
    blessing = _artifact(standard_artifacts.ModelBlessing, tmp_path / "blessing")
    outputs = {
        "evaluation": [_artifact(standard_artifacts.ModelEvaluation, tmp_path / "evaluation")],
        "blessing": [blessing],
    }
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    Executor(context).Do(inputs, outputs, {"config": blob, "code": "", "current_component_id": "Evaluator"})
    return blessing


def _is_blessed(blessing: Any) -> bool:
    """Return the answer, after checking that file and property say the same."""
    files = {path.name for path in Path(blessing.uri).iterdir()}
    answer = blessing.get_int_custom_property("blessed") == 1
    assert files == {"gate.json", "metrics.json", "BLESSED" if answer else "NOT_BLESSED"}
    return answer


def _refused(blessing: Any) -> list[str]:
    gate = json.loads((Path(blessing.uri) / "gate.json").read_text())
    return [verdict["name"] for verdict in gate if not verdict["passed"]]


def _metrics(blessing: Any) -> dict[tuple[str, str], dict[str, float]]:
    rows = json.loads((Path(blessing.uri) / "metrics.json").read_text())
    return {(row.pop("slice"), row.pop("name")): row for row in rows}


def test_good_model_is_blessed_and_measured_by_slice(evaluate: Evaluate):
    slices = [{"feature": "gender"}, {"feature": "genres"}, {"feature": "user_event_count", "boundaries": [10, 25]}]
    rows = [_row(index) for index in range(8)]
    rows[0]["rank"] = 4.0
    blessing = evaluate(rows, evaluation={"top_k": [1, 10], "slices": slices}, gate=BEATS_POPULARITY)
    metrics = _metrics(blessing)

    assert _is_blessed(blessing)
    assert metrics["overall", "ndcg@10"] == {
        "value": pytest.approx((7 * 1 + 1 / log2(5)) / 8),
        "baseline": None,
        "popularity": pytest.approx(1 / log2(4)),
    }
    assert metrics["overall", "recall@1"] == {"value": 7 / 8, "baseline": None, "popularity": 0}
    assert metrics["overall", "num_queries"] == {"value": 8, "baseline": None, "popularity": None}
    assert metrics["gender=M", "mrr@10"]["value"] == pytest.approx((1 / 4 + 3) / 4)
    assert metrics["genres=Comedy", "num_examples"]["value"] == 5  # rows 1, 2, 4, 5, 7
    assert [slice_ for slice_, name in metrics if name == "num_queries"] == [
        "overall",
        "gender=F",
        "gender=M",
        "genres=Comedy",
        "genres=Drama",
        "user_event_count=<10",
        "user_event_count=10-25",
        "user_event_count=>=25",
    ]


def test_blessing_says_what_it_is_about(evaluate: Evaluate, tmp_path: Path):
    blessing = evaluate([_row(1)], baseline="retrieval")

    assert blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY) == 7
    assert blessing.get_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY) == str(
        tmp_path / "model"
    )
    assert blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY) == 3
    assert blessing.get_string_custom_property("component_id") == "Evaluator"


def test_baseline_stands_beside_the_candidate(evaluate: Evaluate):
    metrics = _metrics(evaluate([_row(index) for index in range(4)], baseline="retrieval"))

    assert metrics["overall", "mrr@10"] == {
        "value": 1,
        "baseline": pytest.approx(1 / 2),
        "popularity": pytest.approx(1 / 3),
    }


@pytest.mark.parametrize(("rank", "blessed"), [(2.0, True), (3.0, False)])
def test_candidate_must_not_fall_behind_the_baseline(evaluate: Evaluate, rank: float, blessed: bool):
    gate = {"floors": [{"metric": "finite", "at_least": 1}], "regressions": [{"metric": "mrr@10"}]}
    blessing = evaluate([_row(index, rank=rank) for index in range(4)], baseline="retrieval", gate=gate)

    assert _is_blessed(blessing) is blessed
    assert _refused(blessing) == ([] if blessed else ["mrr@10"])


def test_baseline_of_another_task_is_not_compared_with(evaluate: Evaluate):
    blessing = evaluate([_row(index) for index in range(4)], baseline="rating", gate=BEATS_POPULARITY)

    assert _is_blessed(blessing)
    assert _metrics(blessing)["overall", "ndcg@10"]["baseline"] is None


@pytest.mark.parametrize(
    ("columns", "refused"),
    [
        ({"finite": 0.0, "spread": NAN, "rank": 100.0}, ["finite", "spread", "ndcg@10"]),  # NaN weights
        ({"finite": 0.0, "spread": INF}, ["finite", "spread"]),  # infinite scores
        ({"rank": NAN}, ["finite", "spread", "ndcg@10"]),
        ({"spread": 0.0}, ["spread"]),  # a constant
        ({"rank": 3.0}, ["ndcg@10"]),  # a copy of popularity
        ({"relevant": 0.0}, ["num_queries", "ndcg@10"]),
    ],
)
def test_bad_retrieval_model_is_never_blessed(evaluate: Evaluate, columns: dict, refused: list[str]):
    blessing = evaluate([_row(index, **columns) for index in range(8)], gate=BEATS_POPULARITY)

    assert not _is_blessed(blessing)
    assert _refused(blessing) == refused


def test_one_row_that_is_not_finite_is_enough(evaluate: Evaluate):
    rows = [_row(index, finite=float(index != 5)) for index in range(8)]

    assert _refused(evaluate(rows, gate=BEATS_POPULARITY)) == ["finite"]


@pytest.mark.parametrize("task", ["ranking", "rating"])
def test_good_scores_are_blessed(evaluate: Evaluate, task: str):
    metric = {"ranking": "auc", "rating": "rmse"}[task]
    rows = [_row(index, score=0.1 + 0.8 * (index % 2) if task == "ranking" else 1.0 + index % 5) for index in range(8)]
    blessing = evaluate(rows, task, gate={"popularity_metric": metric})

    assert _is_blessed(blessing)
    assert _metrics(blessing)["overall", metric]["value"] == {"ranking": 1, "rating": 0}[task]
    assert _metrics(blessing)["overall", "num_queries"]["value"] == 2  # users u1 and u3 liked something


@pytest.mark.parametrize(
    ("task", "columns", "refused"),
    [
        ("ranking", {"score": NAN}, {"finite", "spread", "metric"}),
        ("rating", {"score": NAN}, {"finite", "spread", "metric"}),
        ("rating", {"score": INF}, {"finite", "spread", "metric"}),
        ("ranking", {"finite": 0.0}, {"finite", "spread"}),
        ("ranking", {"score": 0.5}, {"spread"}),
        ("rating", {"score": 0.5}, {"spread"}),
    ],
)
def test_bad_scores_are_never_blessed(evaluate: Evaluate, task: str, columns: dict, refused: set[str]):
    metric = {"ranking": "log_loss", "rating": "rmse"}[task]
    gate = {"floors": [{"metric": metric, "at_most": 100.0}]}
    blessing = evaluate([_row(index, **columns) for index in range(8)], task, gate=gate)

    assert not _is_blessed(blessing)
    assert set(_refused(blessing)) == {metric if name == "metric" else name for name in refused}


@pytest.mark.parametrize(("task", "metric"), [("ranking", "auc"), ("ranking", "log_loss"), ("rating", "rmse")])
def test_scores_copied_from_popularity_are_never_blessed(evaluate: Evaluate, task: str, metric: str):
    rows = [_row(index, score=0.5 + 0.01 * index) for index in range(8)]

    assert _refused(evaluate(rows, task, gate={"popularity_metric": metric})) == [metric]


def test_one_class_of_labels_is_never_blessed(evaluate: Evaluate):
    blessing = evaluate([_row(index, liked=1.0) for index in range(8)], "ranking", gate={"popularity_metric": "auc"})

    assert _refused(blessing) == ["auc"]


@pytest.mark.parametrize("task", ["retrieval", "ranking"])
def test_empty_test_split_is_never_blessed(evaluate: Evaluate, task: str):
    blessing = evaluate([], task)

    assert not _is_blessed(blessing)
    assert _refused(blessing) == ["num_queries", "finite", "spread", "num_queries"]


@pytest.mark.parametrize("splits", ['["train"]', '["train", "test"]'])
def test_absent_test_split_is_an_error(tmp_path: Path, splits: str):
    inputs = {
        "examples": [_artifact(standard_artifacts.Examples, tmp_path / "examples", split_names=splits)],
        "model": [_artifact(standard_artifacts.Model, tmp_path / "model", id=7)],
    }
    with pytest.raises(DataError, match="has no 'test' split to evaluate on"):
        _run(tmp_path, inputs, config("retrieval").to_json())


def test_slice_on_a_column_that_does_not_exist_is_an_error(evaluate: Evaluate, tmp_path: Path):
    with pytest.raises(ConfigError, match="no row of the test split holds gendre"):
        evaluate([_row(1)], evaluation={"slices": [{"feature": "gendre"}]})
    assert not (tmp_path / "blessing").exists()


def test_model_of_another_task_is_an_error(tmp_path: Path):
    write_rows(tmp_path / "examples" / "Split-test" / "data_tfrecord-00000-of-00001.gz", [_row(1)])
    save_echo(tmp_path / "model", "rating")
    inputs = {
        "examples": [_artifact(standard_artifacts.Examples, tmp_path / "examples", split_names='["test"]')],
        "model": [_artifact(standard_artifacts.Model, tmp_path / "model", id=7)],
    }
    with pytest.raises(InfraValidationError, match="signature 'evaluate' of a retrieval model should give"):
        _run(tmp_path, inputs, config("retrieval").to_json())


def test_component_works_without_a_baseline_channel():
    evaluator = Evaluator(
        examples=Channel(type=standard_artifacts.Examples),
        model=Channel(type=standard_artifacts.Model),
        config="{}",
        code="0",
    )

    assert set(evaluator.inputs) == {"examples", "model"}
    assert set(evaluator.outputs) == {"evaluation", "blessing"}
