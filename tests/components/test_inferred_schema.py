"""The inferred schema lets healthy later rows pass and real damage not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.anomaly_table import Finding, findings
from components.inferred_schema import inferred_schema
from datasets import sources
from datasets.timeline import Timeline
from settings.data import DataSettings, MovieLensSource
from tests.components.split_statistics import Rows, event, events, statistics_of

# 40 users and 40 items: a closed set may have up to 4 values.
TRAIN = events(range(40), range(40))


def check(train: Rows, test: Rows) -> list[Finding]:
    statistics = {"train": statistics_of(train), "test": statistics_of(test)}
    schema = inferred_schema(statistics)
    anomalies: dict[str, anomalies_pb2.Anomalies] = {
        split: tfdv.validate_statistics(found, schema) for split, found in statistics.items()
    }
    return findings(anomalies, schema)


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(events(range(40, 60), range(40, 60)), id="only new users and items"),
        pytest.param(events(range(5), range(1), history_item_ids=None, user_rating_mean=None), id="only first events"),
        pytest.param(events(range(5), range(9), seen_item_ids=["1", "2"]), id="a column that only later splits have"),
        pytest.param(events(range(5), range(9), is_sequence_end=None), id="a column that only train has"),
        pytest.param(events(range(5), range(9), user_id="ada", item_id="x-9"), id="ids that are no numbers"),
        pytest.param(
            [*events(range(9), range(9)), event(1, 2, 3, age=None), event(2, 2, 3, gender=None)],
            id="a few gaps in the user table",
        ),
        pytest.param(
            [*events(range(9), range(9)), event(1, 2, 3, gender="X"), event(2, 2, 3, gender="X")],
            id="a new value in a twentieth of the rows",
        ),
        pytest.param(events(range(5), range(9), age=99), id="numbers beyond train's"),
        pytest.param(events(range(5), range(1, 2)), id="five rows"),
    ],
)
def test_healthy_later_rows_pass(test: Rows) -> None:
    assert check(TRAIN, test) == []


@pytest.mark.parametrize(
    ("changes", "feature", "rule"),
    [
        ({"age": "old"}, "age", "Unexpected data type"),
        ({"user_id": 7}, "user_id", "Unexpected data type"),
        ({"rating": 9.0}, "rating", "Out-of-range values"),
        ({"rating": -1.0}, "rating", "Out-of-range values"),
        ({"liked": 2.0}, "liked", "Out-of-range values"),
        ({"timestamp": -5}, "timestamp", "Out-of-range values"),
        ({"item_id": ["1", "2"]}, "item_id", "Superfluous values"),
        ({"item_id": None}, "item_id", "Column dropped"),
        ({"age": None}, "age", "Column dropped"),
        ({"gender": "X"}, "gender", "Unexpected string values"),
    ],
)
def test_damage_in_a_later_split_is_found(changes: dict[str, Any], feature: str, rule: str) -> None:
    found = check(TRAIN, events(range(9), range(9), **changes))
    assert [(row.split, row.feature, row.rule) for row in found] == [("test", feature, rule)]


def test_one_rating_that_is_no_number_is_enough() -> None:
    found = check(TRAIN, [*events(range(9), range(9)), event(1, 1, float("nan"))])
    assert [(row.split, row.feature, row.rule) for row in found] == [("test", "rating", "Invalid values")]


def test_one_missing_id_is_enough_and_a_half_empty_table_column_too() -> None:
    rows = events(range(9), range(9))
    assert [row.feature for row in check(TRAIN, [*rows, event(1, 1, 1, user_id=None)])] == ["user_id"]
    half = [{**row, "age": None} if number % 2 else row for number, row in enumerate(rows)]
    (found,) = check(TRAIN, [{name: v for name, v in row.items() if v is not None} for row in half])
    assert (found.feature, found.expected) == ("age", "INT, in at least 80% of the rows")


def test_damage_in_train_itself_is_found_where_the_pipeline_knows_better() -> None:
    found = check(events(range(9), range(9), item_id=None), events(range(9), range(9)))
    assert ("train", "item_id", "Column dropped") in [(row.split, row.feature, row.rule) for row in found]


def test_only_small_sets_of_values_are_closed() -> None:
    def spread(values: int) -> Rows:
        return [{**row, "city": f"city {int(row['user_id']) % values}"} for row in TRAIN]

    elsewhere = events(range(9), range(9), city="elsewhere")
    # 40 users: 4 values are a closed set, 5 are a sample of more.
    assert [row.feature for row in check(spread(4), elsewhere)] == ["city"]
    assert check(spread(5), elsewhere) == []


def test_an_open_scale_of_ratings_has_no_upper_bound() -> None:
    seconds = [{**row, "rating": 1.5 * number} for number, row in enumerate(TRAIN)]
    assert check(seconds, events(range(9), range(9), rating=1e6)) == []
    assert [row.feature for row in check(seconds, events(range(9), range(9), rating=-1.0))] == ["rating"]


@pytest.mark.parametrize("split", ["global_timeline", "leave_one_out"])
def test_movielens_100k_is_healthy(real_data: Callable[[str], Path], split: str) -> None:
    source = MovieLensSource(kind="movielens_100k", path=str(real_data("ml-100k")))
    settings = DataSettings.model_validate({"source": source, "split": {"kind": split}, "history_length": 5})
    timeline = Timeline(sources.read(source), settings)
    batches = {
        name: pa.Table.from_batches(timeline.blocks(name)).combine_chunks().to_batches()[0]
        for name in ("train", "eval", "test")
    }
    statistics = {name: statistics_of(batch) for name, batch in batches.items()}
    schema = inferred_schema(statistics)
    anomalies = {name: tfdv.validate_statistics(found, schema) for name, found in statistics.items()}
    assert findings(anomalies, schema) == []
    closed = {feature.name for feature in schema.feature if feature.domain}
    assert closed == {"gender", "occupation", "genres"}
    rating = next(feature for feature in schema.feature if feature.name == "rating")
    assert (rating.float_domain.min, rating.float_domain.max) == (1.0, 5.0)
