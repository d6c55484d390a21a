"""Clipping, logarithms, ranges, joint imputation, periods, hashes, crosses and words, against numbers by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import ValidationError

from models.feature_space import FeatureSpace
from settings.features import FeatureList
from tests.transforms.transform_pass import transform_rows
from transforms.collisions import collision_rates
from transforms.vocabulary import vocabulary_sizes

DAY = 86_400
RECORDS: list[dict[str, Any]] = [
    {"kind": "numeric", "name": "clipped", "column": "x", "tower": "query", "clip": [0, 4], "scaling": "none"},
    {"kind": "numeric", "name": "logged", "column": "x", "tower": "query", "log": True, "scaling": "none"},
    {"kind": "numeric", "name": "ranged", "column": "x", "tower": "query", "scaling": "min_max", "impute": "constant",
     "fill_value": 99.0},
    {"kind": "numeric", "name": "both", "column": "x", "tower": "query", "clip": [-1, 3], "log": True,
     "scaling": "min_max"},
    {"kind": "numeric", "name": "never", "tower": "query", "scaling": "min_max"},
    {"kind": "numeric", "name": "a", "tower": "query", "impute": "multivariate", "scaling": "none"},
    {"kind": "numeric", "name": "b", "tower": "query", "impute": "multivariate", "scaling": "none"},
    {"kind": "numeric", "name": "c", "tower": "query", "impute": "multivariate", "scaling": "none"},
    {"kind": "cyclic", "name": "hour", "column": "time", "tower": "query", "period": "day"},
    {"kind": "cyclic", "name": "weekday", "column": "time", "tower": "query", "period": "week"},
    {"kind": "hashed", "name": "site", "tower": "query", "num_buckets": 3},
    {"kind": "hashed", "name": "site_kind", "column": "site", "cross": ["kind"], "tower": "query", "num_buckets": 9},
    {"kind": "text", "name": "title", "tower": "candidate", "max_length": 3},
]  # fmt: skip
TYPES = {
    "x": tf.float32, "never": tf.float32, "a": tf.float32, "b": tf.float32, "c": tf.float32, "time": tf.int64,
    "site": tf.string, "kind": tf.int64, "title": tf.string,
}  # fmt: skip
X = [-1.0, 0.0, 1.0, 7.0, None]
# b = 2 a + noise, c is apart; the last two rows have gaps.
ABC = [(0.0, 1.0, 5.0), (1.0, 1.0, 3.0), (2.0, 5.0, 4.0), (3.0, None, 6.0), (None, 4.0, None)]
TIMES = [0, DAY // 4, DAY // 2, 3 * DAY + DAY * 3 // 4, None]
SITES = ["a", "b", "c", "d", None]
KINDS = [1, 1, 2, None, 2]
TITLES = ["The Net, the (1995)", "NET über alles today", "", None, "net"]


def cell(value: Any) -> list[Any]:
    return [] if value is None else [value]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], Path]:
    columns = {"x": X, "never": [None] * 5, "time": TIMES, "site": SITES, "kind": KINDS, "title": TITLES}
    columns |= dict(zip("abc", map(list, zip(*ABC, strict=True)), strict=True))
    rows = [{name: cell(values[row]) for name, values in columns.items()} for row in range(5)]
    return transform_rows(rows, TYPES, RECORDS, tmp_path_factory.mktemp("transform"))


def test_numbers_are_clipped_and_taken_as_logarithms_before_anything_is_learnt(learnt: Any) -> None:
    # Mean of the clipped values: (0 + 0 + 1 + 4) / 4.
    np.testing.assert_allclose(learnt[0]["clipped"], [0, 0, 1, 4, 1.25])
    logs = [-math.log(2), 0, math.log(2), math.log(8)]
    np.testing.assert_allclose(learnt[0]["logged"], [*logs, sum(logs) / 4], rtol=1e-6)


def test_min_max_scales_to_one_and_keeps_what_is_imputed_inside(learnt: Any) -> None:
    # From -1 to 7; the constant 99 lies above.
    np.testing.assert_allclose(learnt[0]["ranged"], [0, 1 / 8, 2 / 8, 1, 1])
    low, high = -math.log(2), math.log(4)
    clipped = [low, 0, math.log(2), high]
    expected = [(value - low) / (high - low) for value in [*clipped, sum(clipped) / 4]]
    np.testing.assert_allclose(learnt[0]["both"], expected, rtol=1e-6)
    assert learnt[0]["never"].tolist() == [0.0] * 5


def test_joint_imputation_is_the_conditional_mean_of_a_gaussian(learnt: Any) -> None:
    # Rows without a gap: a = 0 1 2, b = 1 1 5, c = 5 3 4; means 1, 7/3, 4; covariances with divisor 3:
    # aa 2/3, bb 32/9, cc 2/3, ab 4/3, ac -1/3, bc 0.
    whole = np.array(ABC[:3])
    mean, covariance = whole.mean(axis=0), np.cov(whole.T, bias=True)
    np.testing.assert_allclose(covariance, [[2 / 3, 4 / 3, -1 / 3], [4 / 3, 32 / 9, 0], [-1 / 3, 0, 2 / 3]], atol=1e-12)
    # b of row 3 from a = 3, c = 6: S_oo = [[2/3, -1/3], [-1/3, 2/3]], whose inverse is [[2, 1], [1, 2]];
    # weights (4/3, 0) S_oo^-1 = (8/3, 4/3); 7/3 + 8/3 (3 - 1) + 4/3 (6 - 4) = 31/3.
    np.testing.assert_allclose(learnt[0]["b"], [1, 1, 5, 31 / 3, 4], rtol=1e-5)
    # a and c of row 4 from b = 4: a = 1 + (4/3) / (32/9) (4 - 7/3) = 1 + 3/8 * 5/3; b tells nothing of c.
    np.testing.assert_allclose(learnt[0]["a"], [0, 1, 2, 3, 1 + 3 / 8 * 5 / 3], rtol=1e-5)
    np.testing.assert_allclose(learnt[0]["c"], [5, 3, 4, 6, 4], rtol=1e-5)
    np.testing.assert_allclose(mean, [1, 7 / 3, 4])


def test_moments_become_angles_and_none_the_origin(learnt: Any) -> None:
    np.testing.assert_allclose(learnt[0]["hour_sin"], [0, 1, 0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(learnt[0]["hour_cos"], [1, 0, -1, 0, 0], atol=1e-6)
    angle = 2 * math.pi * np.array([0, 0.25, 0.5, 3.75]) / 7
    np.testing.assert_allclose(learnt[0]["weekday_sin"], [*np.sin(angle), 0], atol=1e-6)
    np.testing.assert_allclose(learnt[0]["weekday_cos"], [*np.cos(angle), 0], atol=1e-6)


def test_hashes_stay_in_their_buckets_and_collisions_are_counted(learnt: Any) -> None:
    site, cross = learnt[0]["site"].tolist(), learnt[0]["site_kind"].tolist()
    buckets = tf.strings.to_hash_bucket_fast(["a", "b", "c", "d"], 3).numpy().tolist()
    assert site == [*(1 + bucket for bucket in buckets), 0]
    crossed = tf.strings.to_hash_bucket_fast(["a\x1f1", "b\x1f1", "c\x1f2"], 9).numpy().tolist()
    assert cross == [*(1 + bucket for bucket in crossed), 0, 0]
    records = FeatureList.model_validate({"records": RECORDS}).records
    rates = collision_rates(records, tft.TFTransformOutput(str(learnt[1])))
    assert rates == {
        # Four tokens in three buckets: at least two of them share one.
        "site": sum(buckets.count(bucket) > 1 for bucket in buckets) / 4,
        "site_kind": sum(crossed.count(bucket) > 1 for bucket in crossed) / 3,
    }
    assert rates["site"] >= 0.5


def test_words_keep_their_order_and_pad_behind(learnt: Any) -> None:
    output = tft.TFTransformOutput(str(learnt[1]))
    words = [word.decode() for word in output.vocabulary_by_name("title")]
    # net 3 times, the 2 times, the others once in reverse lexicographic order.
    assert words == ["net", "the", "über", "today", "alles", "1995"]
    ids = {word: 2 + place for place, word in enumerate(words)}
    assert learnt[0]["title"].tolist() == [
        [ids["the"], ids["net"], ids["the"]], [ids["net"], ids["über"], ids["alles"]], [0] * 3, [0] * 3,
        [ids["net"], 0, 0],
    ]  # fmt: skip


def test_models_are_told_what_the_features_are(learnt: Any) -> None:
    records = FeatureList.model_validate({"records": RECORDS}).records
    space = FeatureSpace.from_records(records, vocabulary_sizes(records, tft.TFTransformOutput(str(learnt[1]))))
    assert set(learnt[0]) == {field.name for field in space.fields}
    sizes = {field.name: (field.kind, field.vocabulary_size, field.length) for field in space.fields}
    assert sizes["site"] == ("categorical", 4, 1)
    assert sizes["title"] == ("multivalent", 8, 3)
    assert sizes["hour_sin"] == ("numeric", 0, 1)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"kind": "numeric", "name": "x", "tower": "query", "clip": [3, 3]}], "a lower and a higher bound"),
        ([RECORDS[5]], "'a' has impute: multivariate, and is the only one"),
        ([{"kind": "numeric", "name": "stars", "column": "rating", "tower": "query"}], "'rating', which is the label"),
        ([{**RECORDS[11], "cross": ["liked"]}], "'liked', which is the label"),
    ],
)
def test_records_that_make_no_sense_are_refused(records: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FeatureList.model_validate({"records": records})
