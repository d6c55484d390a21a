from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tfx.components.example_validator import executor as stock
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.utils import json_utils

from components.example_validator import ExampleValidator, Executor
from components.inferred_schema import inferred_schema
from settings.errors import DataAnomaliesError
from tests.components.split_statistics import Rows, events, statistics_artifact, statistics_of

TRAIN = events(range(20), range(20))


def validate(folder: Path, splits: dict[str, Rows]) -> Path:
    """Run the executor as the component sets it up; return where the anomalies were written."""
    component = ExampleValidator(
        statistics=Channel(type=standard_artifacts.ExampleStatistics), schema=Channel(type=standard_artifacts.Schema)
    )
    assert component.executor_spec.executor_class is Executor
    schema, anomalies = standard_artifacts.Schema(), standard_artifacts.ExampleAnomalies()
    schema.uri, anomalies.uri = str(folder / "schema"), str(folder / "anomalies")
    (folder / "schema").mkdir()
    inferred = inferred_schema({"train": statistics_of(TRAIN)})
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(inferred))
    for split in splits:
        (folder / "anomalies" / f"Split-{split}").mkdir(parents=True)
    Executor().Do(
        {"statistics": [statistics_artifact(folder / "statistics", splits)], "schema": [schema]},
        {"anomalies": [anomalies]},
        {"exclude_splits": component.exec_properties["exclude_splits"]},
    )
    return folder / "anomalies"


def test_healthy_splits_pass_and_leave_the_stock_artifact(tmp_path: Path) -> None:
    anomalies = validate(tmp_path, {"train": TRAIN, "eval": events(range(9), range(9))})
    for split in ("train", "eval"):
        assert (anomalies / f"Split-{split}" / stock.DEFAULT_FILE_NAME).exists()


def test_anomalies_stop_the_run_with_one_line_a_broken_rule(tmp_path: Path) -> None:
    damaged = events(range(9), range(9), rating=11.0, age="old")
    with pytest.raises(DataAnomaliesError) as caught:
        validate(tmp_path, {"train": TRAIN, "eval": events(range(9), range(9)), "test": damaged})
    text = str(caught.value)
    lines = [line.split() for line in text.splitlines() if line.startswith(("eval", "test", "train"))]
    assert [line[:2] for line in lines] == [["test", "age"], ["test", "rating"]]
    assert "Out-of-range values" in text
    assert "11" in text
    assert "FLOAT, in at least 100% of the rows, one value a row, 1 to 5" in text
    assert "break 2 rules" in text
    assert "data.schema_path" in text
    assert str(tmp_path / "schema" / "schema.pbtxt") in text


def test_an_empty_split_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataAnomaliesError, match=r"test +\(all rows\)"):
        validate(tmp_path, {"train": TRAIN, "test": []})


def test_the_items_and_users_splits_are_not_checked(tmp_path: Path) -> None:
    # A catalogue row has no user, no time and no rating.
    items: Rows = [{"item_id": "1", "genres": ["Drama"]}]
    anomalies = validate(tmp_path, {"train": TRAIN, "items": items, "users": items})
    assert not (anomalies / "Split-items" / stock.DEFAULT_FILE_NAME).exists()
    spec = ExampleValidator(
        statistics=Channel(type=standard_artifacts.ExampleStatistics), schema=Channel(type=standard_artifacts.Schema)
    )
    assert json_utils.loads(spec.exec_properties["exclude_splits"]) == ["items", "users"]
