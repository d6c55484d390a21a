from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from pydantic import ValidationError
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from components.distances import drift, request_statistics, skew
from components.inferred_schema import inferred_schema
from settings.errors import DataAnomaliesError, DataError
from settings.validation import DistanceRule, ValidationSettings
from tests.components.drift_pipeline import create, rows
from tests.components.split_statistics import statistics_of

BEFORE = statistics_of(rows(50))
SCHEMA = inferred_schema({"train": BEFORE})


def rule(feature: str, at_most: float, measure: str = "l_infinity") -> DistanceRule:
    return DistanceRule.model_validate({"feature": feature, "at_most": at_most, "measure": measure})


def test_the_change_of_a_share_is_measured_and_bounded() -> None:
    # Women were 50 %, now 70 %: the largest change of a share is 0.2.
    now = statistics_of(rows(70))
    assert drift([rule("gender", 0.21)], SCHEMA, now, BEFORE) == []
    (finding,) = drift([rule("gender", 0.19)], SCHEMA, now, BEFORE)
    assert finding == ("train", "gender", "drift: L-infinity distance", "0.2", "at most 0.19")


def test_numbers_and_tokens_have_a_divergence() -> None:
    assert drift([rule("age", 0.01, "jensen_shannon")], SCHEMA, BEFORE, BEFORE) == []
    # Ages 20 to 29 against 50 to 59 have nothing in common: the divergence is 1, its largest.
    (finding,) = drift([rule("age", 0.9, "jensen_shannon")], SCHEMA, statistics_of(rows(50, 50)), BEFORE)
    assert finding == ("train", "age", "drift: Jensen-Shannon divergence", "1", "at most 0.9")
    # All men against half men: m = (1/4, 3/4), (1/2 (log2 2 + log2 2/3) + log2 4/3) / 2 = 0.3113.
    (finding,) = drift([rule("gender", 0.1, "jensen_shannon")], SCHEMA, statistics_of(rows(0)), BEFORE)
    assert finding.found == "0.3113"


def test_what_cannot_be_measured_does_not_pass() -> None:
    without = statistics_of([{name: value for name, value in row.items() if name != "gender"} for row in rows(50)])
    for wrong, before in ((rule("gendre", 0.5), BEFORE), (rule("age", 0.5), BEFORE), (rule("gender", 0.5), without)):
        (finding,) = drift([wrong], SCHEMA, BEFORE, before)
        assert (finding.feature, finding.found) == (wrong.feature, "not in both data, or not of this type")


def write_requests(path: Path, genders: str) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for gender in genders:
            values = tf.train.BytesList(value=[gender.encode()] if gender != "-" else [])
            feature = {"gender": tf.train.Feature(bytes_list=values)}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def test_training_rows_are_compared_with_requests(tmp_path: Path) -> None:
    write_requests(tmp_path / "requests.tfrecord", "MMMMMMMMMF--")
    requests = request_statistics(tmp_path / "requests.tfrecord")
    assert skew([rule("gender", 0.41)], SCHEMA, BEFORE, requests) == []
    (finding,) = skew([rule("gender", 0.39)], SCHEMA, BEFORE, requests)
    assert finding == ("train", "gender", "skew: L-infinity distance", "0.4", "at most 0.39")
    with pytest.raises(DataError, match=r"none\.tfrecord: does not exist"):
        request_statistics(tmp_path / "none.tfrecord")


def test_rules_and_requests_belong_together() -> None:
    with pytest.raises(ValidationError, match=r"skew and requests_path belong together.*Received only skew"):
        ValidationSettings(skew=(rule("gender", 0.1),))
    with pytest.raises(ValidationError, match="Received only requests_path"):
        ValidationSettings(requests_path="requests.tfrecord")


def test_drifted_data_stop_the_run_and_are_compared_with_by_nobody(tmp_path: Path) -> None:
    def run(percent_women: int, years: int = 20) -> None:
        LocalDagRunner().run(create(tmp_path, percent_women, years))

    run(50)  # the first: nothing to compare with
    with pytest.raises(DataAnomaliesError) as caught:
        run(90, years=50)
    lines = [line.split("  ") for line in str(caught.value).splitlines() if line.startswith("train")]
    assert [[cell.strip() for cell in line if cell] for line in lines] == [
        ["train", "gender", "drift: L-infinity distance", "0.4", "at most 0.3"],
        ["train", "age", "drift: Jensen-Shannon divergence", "1", "at most 0.2"],
    ]
    assert "nothing was trained" in str(caught.value)
    run(75)  # 0.25 from the data that passed, and 0.15 from those that were refused
    run(100)  # 0.25 from 75 %, and 0.5 from the first
    with pytest.raises(DataAnomaliesError, match=r"gender +drift: L-infinity distance +0\.5 +at most 0\.3"):
        run(50, years=21)
