from __future__ import annotations

import re
from pathlib import Path

import pytest

from serving.signature_checks import check_model
from tests.serving.tiny_servable import save, write_rows


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_rows(tmp_path_factory.mktemp("examples"))


def test_a_good_model_is_asked_everything(rows: str, tmp_path: Path) -> None:
    steps: list[str] = []
    verdict = check_model(str(save(tmp_path)), [rows], steps.append)
    assert (verdict.passed, verdict.reason) == (True, "")
    of_rows = ["a batch of 1", "a batch of 32", "an empty tf.Example"]
    of_users = [
        "a user of the test split",
        "12 users of the test split, an unknown one and an empty id",
        "an unknown user, k = 1",
        "a history of 2 items",
    ]
    expected = [
        *[("evaluate", request) for request in of_rows],
        ("rank", "2 items of the test split and an unknown one, for two users"),
        *[("recommend", request) for request in of_users],
        *[("serving_default", request) for request in of_rows],
        ("similar_items", "an item of the test split, an unknown one and an empty id"),
        *[("transform_features", request) for request in of_rows],
    ]
    assert [(check["signature"], check["request"]) for check in verdict.checks] == expected
    assert steps[:2] == ["reading requests from the test split", "loading the model"]
    assert steps[2:] == [f"asking signature {name!r}, {request}" for name, request in expected]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            "raises",
            r"signature 'serving_default', a batch of 1: fails: InvalidArgumentError: .*no such item in the table",
        ),
        ("nan", r"'serving_default', a batch of 1: output 'scores' holds nan \(1 of 1 values are not finite\)"),
        ("drops a row", r"'serving_default', a batch of 32: output 'scores' has shape \(31,\)\. Expected \(32,\)"),
        ("column", r"'serving_default', a batch of 1: output 'scores' has shape \(1, 1\)\. Expected \(1,\)"),
        ("other output", r"'serving_default' lacks output 'scores'\. Found: \['points'\]"),
        (
            "flat features",
            r"'transform_features', a batch of 1: output 'ids' has shape \(3, 2\)\. Expected \(1, \.\.\.\)",
        ),
        (
            "lacks recommend",
            r"lacks signature 'recommend'\. Expected \['evaluate', .*\. Found: \['evaluate', 'rank', 'serving_",
        ),
        ("another signature", r"'nearby' has inputs \['place'\], and is none that could be asked"),
        ("forgets the history", r"'recommend', a history of 2 items: output 'item_ids' names \[b'i1', b'i2'\], which"),
        ("worst first", r"'rank', .*: output 'item_ids' is .* Expected .*, the first one last"),
        ("infinite", r"'recommend', a user of the test split: output 'scores' holds -inf"),
        ("twice", r"'recommend', a user of the test split: output 'item_ids' names an item twice in row 0"),
        ("short", r"'recommend', .*: output 'item_ids' has shape \(1, 9\)\. Expected \(1, 10\)"),
        ("knows everybody", r"12 users of the test split, .*: output 'known' is .*True\]\. Expected .*False, False\]"),
        ("nothing for strangers", r"output 'item_ids' is empty in row 12, an unknown user"),
        ("truncated", r"does not load: .*saved_model\.pb"),
        ("no weights", r"does not load: .*variables.data-00000-of-00001"),
    ],
)
def test_a_bad_model_is_refused_in_words(fault: str, reason: str, rows: str, tmp_path: Path) -> None:
    verdict = check_model(str(save(tmp_path, fault)), [rows], lambda step: None)
    assert not verdict.passed
    assert re.search(reason, verdict.reason), verdict.reason
    assert "\n" not in verdict.reason


def test_a_folder_without_a_model_and_a_split_without_rows_are_refused(rows: str, tmp_path: Path) -> None:
    assert "does not load" in check_model(str(tmp_path / "absent"), [rows], lambda step: None).reason
    empty = write_rows(tmp_path / "empty", num_rows=0)
    assert "test split has no rows" in check_model(str(tmp_path), [empty], lambda step: None).reason


def test_few_rows_are_enough(tmp_path: Path) -> None:
    rows = [write_rows(tmp_path / "one", num_rows=1), write_rows(tmp_path / "two", num_rows=2)]
    verdict = check_model(str(save(tmp_path / "model")), rows, lambda step: None)
    assert verdict.passed
    assert verdict.checks[5]["request"] == "2 users of the test split, an unknown one and an empty id"
