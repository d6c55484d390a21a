from __future__ import annotations

import json
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfx.components.evaluator import constants
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.evaluator import Evaluator, Executor
from settings.errors import ConfigError, DataError, InfraValidationError
from settings.runtime import BeamSettings
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
        "timestamp": 1000 + index,
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
        splits = [path.name.removeprefix("Split-") for path in (tmp_path / "examples").iterdir()]
        inputs = {
            "examples": [_artifact(standard_artifacts.Examples, tmp_path / "examples", split_names=json.dumps(splits))],
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
        beam_pipeline_args=list(BeamSettings().pipeline_args), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    Executor(context).Do(inputs, outputs, {"config": blob, "code": "", "current_component_id": "Evaluator"})
    return blessing


def _is_blessed(blessing: Any) -> bool:
    """Return the answer, after checking that file and property say the same."""
    files = {path.name for path in Path(blessing.uri).iterdir()}
    answer = blessing.get_int_custom_property("blessed") == 1
    assert files == {"gate.json", "metrics.json", "details.json", "BLESSED" if answer else "NOT_BLESSED"}
    return answer


def _gate(blessing: Any) -> list[dict[str, Any]]:
    return json.loads((Path(blessing.uri) / "gate.json").read_text())


def _refused(blessing: Any) -> list[str]:
    return [verdict["name"] for verdict in _gate(blessing) if not verdict["passed"]]


def _rows(blessing: Any) -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads((Path(blessing.uri) / "metrics.json").read_text())
    return {(row["slice"], row["name"]): row for row in rows}


def _metrics(blessing: Any) -> dict[tuple[str, str], dict[str, float]]:
    """Return the values without what tells how sure they are."""
    return {
        key: {name: row[name] for name in ("value", "baseline", "popularity")} for key, row in _rows(blessing).items()
    }


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


def test_recommended_items_are_looked_at(evaluate: Evaluate, tmp_path: Path):
    items = [("a", 6, ["Drama"]), ("b", 2, ["War"]), ("c", 0, [])]
    write_rows(
        tmp_path / "examples" / "Split-items" / "data_tfrecord-00000-of-00001.gz",
        [{"item_id": item, "item_event_count": count, "genres": genres} for item, count, genres in items],
    )
    lists = {"top_items": ["a", "b", "c"], "blessed_top_items": ["b", "a", "x"]}
    blessing = evaluate([_row(0, **lists), _row(1, history_item_ids=["b"], **lists)], baseline="retrieval")
    metrics = _metrics(blessing)

    assert metrics["overall", "coverage@5"] == {"value": 1, "baseline": pytest.approx(2 / 3), "popularity": None}
    assert metrics["overall", "mean_popularity@5"]["value"] == pytest.approx(8 / 3)
    assert metrics["overall", "popularity_lift@5"]["value"] == pytest.approx((8 / 3 - 2) / 2)
    # Of a, b, c and b, a, x the second places agree, and two of three.
    overlap = (0.9 * 2 / 2 + 0.81 * 2 / 3 + 0.729 * 2 / 4 + 0.6561 * 2 / 5) / (1 + 0.9 + 0.81 + 0.729 + 0.6561)
    assert metrics["overall", "rank_biased_overlap@5"]["value"] == pytest.approx(overlap)
    # Bins of train events: 0, 1-2, 3-6; b was chosen before.
    profile = json.loads((Path(blessing.uri) / "details.json").read_text())["popularity_profile"]
    assert [row[:3] for row in profile["candidate"]] == [[2, 2, 2], [0, 1, 0]]


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
    rows = [
        _row(
            index,
            user_id=_user(index),
            score=0.1 + 0.8 * (index % 2) if task == "ranking" else 1.0 + index % 5,
            popularity_score=0.1 + 0.01 * (index * 7 % 20),
        )
        for index in range(40)
    ]
    blessing = evaluate(rows, task, gate={"popularity_metric": metric})

    assert _is_blessed(blessing)
    assert _metrics(blessing)["overall", metric]["value"] == {"ranking": 1, "rating": 0}[task]
    assert _metrics(blessing)["overall", "num_queries"]["value"] == 10  # every second user liked something
    assert _metrics(blessing)["overall", "num_short_queries"]["value"] == 10  # users have two rows each


@pytest.mark.parametrize(
    ("task", "columns", "refused"),
    [
        ("ranking", {"liked": 1.0}, {"label_spread"}),  # one class
        ("rating", {"rating": 3.0}, {"label_spread"}),
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

    assert _refused(blessing) == ["label_spread", "auc"]


def _user(index: int) -> str:
    return f"u{index % 20}"


def test_model_with_a_shuffled_item_vocabulary_is_never_blessed(evaluate: Evaluate):
    # Users choose by taste; the model scores the right taste, then reads the scores in another item order.
    rng = np.random.default_rng(0)
    popularity, shuffled = rng.normal(size=100), rng.permutation(100)
    scores = np.tile(rng.normal(size=(20, 100)) + 2 * popularity, (6, 1))  # of 120 queries by 20 users
    chosen = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)

    def ranks(scores: np.ndarray) -> np.ndarray:
        return 1.0 + (scores > np.take_along_axis(scores, chosen[:, None], axis=1)).sum(axis=1)

    by_popularity = ranks(np.tile(popularity, (120, 1)))
    rows = {
        name: [
            _row(index, user_id=_user(index), rank=float(rank), popularity_rank=float(by_popularity[index]))
            for index, rank in enumerate(found)
        ]
        for name, found in {"sound": ranks(scores), "shuffled": ranks(scores[:, shuffled])}.items()
    }

    assert _is_blessed(evaluate(rows["sound"], gate=BEATS_POPULARITY))
    assert _refused(evaluate(rows["shuffled"], gate=BEATS_POPULARITY)) == ["ndcg@10"]


def test_model_that_knows_the_answers_of_one_slice_is_never_blessed(evaluate: Evaluate):
    rows = [_row(index, user_id=_user(index), rank=1.0 if index % 2 else 2.0 + index % 3) for index in range(120)]
    gate = {**BEATS_POPULARITY, "max_gap_closed": 0.95, "min_queries": 50}

    assert _is_blessed(evaluate(rows, gate=gate))
    blessing = evaluate(rows, gate=gate, evaluation={"slices": [{"feature": "gender"}]})
    assert _refused(blessing) == ["ndcg@10"]
    assert [verdict["slice"] for verdict in _gate(blessing) if not verdict["passed"]] == ["gender=F"]


def test_popularity_with_a_little_noise_is_never_blessed(evaluate: Evaluate):
    rng = np.random.default_rng(1)
    rows = [
        _row(index, user_id=_user(index), rank=float(rng.choice([2.0, 4.0], p=[0.36, 0.64]))) for index in range(60)
    ]
    blessing = evaluate([*rows, _row(60, user_id="u0", rank=1.0)], gate=BEATS_POPULARITY)
    ndcg = _metrics(blessing)["overall", "ndcg@10"]

    assert ndcg["value"] > ndcg["popularity"]
    assert _refused(blessing) == ["ndcg@10"]


@pytest.mark.parametrize("task", ["retrieval", "ranking", "rating"])
def test_one_row_is_never_blessed(evaluate: Evaluate, task: str):
    blessing = evaluate([_row(1)], task)

    assert not _is_blessed(blessing)
    assert "num_queries" in _refused(blessing)


def test_one_user_is_never_blessed(evaluate: Evaluate):
    blessing = evaluate([_row(index, user_id="u") for index in range(60)], gate=BEATS_POPULARITY)

    assert _refused(blessing) == ["ndcg@10"]


def test_errors_come_from_users_and_pairs(evaluate: Evaluate):
    # Two users of two queries each: reciprocal ranks 1, 1/2 and 1/4, 1/5; the baseline has 1/2 throughout.
    ranks = {0: ("a", 1.0), 1: ("a", 2.0), 2: ("b", 4.0), 3: ("b", 5.0)}
    rows = [_row(index, user_id=user, query_id=f"q{index}", rank=rank) for index, (user, rank) in ranks.items()]
    row = _rows(evaluate(rows, baseline="retrieval", gate=BEATS_POPULARITY))["overall", "mrr@10"]

    # The error of a mean of two groups is half their difference.
    half = abs((1 + 1 / 2) / 2 - (1 / 4 + 1 / 5) / 2) / 2
    assert row["num_groups"] == 2
    assert row["error"] == pytest.approx(half)
    assert row["baseline_error"] == row["popularity_error"] == pytest.approx(0)
    assert row["difference_error"] == row["lift_error"] == pytest.approx(half)
    # Student's t with one degree of freedom: 12.7062 at 97.5 %.
    assert row["interval"] == pytest.approx([row["value"] - 12.7062 * half, row["value"] + 12.7062 * half], rel=1e-4)


def test_slices_by_quantile_cross_hour_and_the_most_frequent_values(evaluate: Evaluate):
    rows = [
        _row(index, timestamp=3600 * (index % 24), genres=["Drama"] if index < 5 else [f"g{index}"])
        for index in range(8)
    ]
    slices = [
        {"feature": "user_event_count", "quantiles": 2},
        {"feature": "gender"},
        {"feature": "genres", "max_values": 1},
        {"feature": "hour_of_day", "boundaries": [6]},
    ]
    metrics = _metrics(evaluate(rows, evaluation={"slices": slices, "crosses": [["gender", "hour_of_day"]]}))

    assert {slice_: row["value"] for (slice_, name), row in metrics.items() if name == "num_queries"} == {
        "overall": 8,
        "user_event_count=<17.5": 4,
        "user_event_count=>=17.5": 4,
        "gender=F": 4,
        "gender=M": 4,
        "genres=Drama": 5,
        "genres=other": 3,
        "hour_of_day=<6": 6,
        "hour_of_day=>=6": 2,
        "gender=F,hour_of_day=<6": 3,
        "gender=F,hour_of_day=>=6": 1,
        "gender=M,hour_of_day=<6": 3,
        "gender=M,hour_of_day=>=6": 1,
    }


def test_quantiles_of_what_is_no_number_are_an_error(evaluate: Evaluate):
    with pytest.raises(ConfigError, match="'gender' cannot be cut into 4 buckets: it holds 0 different numbers"):
        evaluate([_row(1)], evaluation={"slices": [{"feature": "gender", "quantiles": 4}]})


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
