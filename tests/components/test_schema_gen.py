from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.schema_gen import Executor, SchemaGen
from settings.errors import ConfigError, DataError
from tests.components.split_statistics import events, statistics_artifact

STATISTICS = Channel(type=standard_artifacts.ExampleStatistics)


def write_schema(folder: Path, statistics: object, curated: str | None) -> schema_pb2.Schema:
    """Run the executor and read what it wrote."""
    schema = standard_artifacts.Schema()
    schema.uri = str(folder / "schema")
    Executor().Do({"statistics": [statistics]}, {"schema": [schema]}, {"curated": curated})
    return text_format.Parse((folder / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())


def test_without_a_curated_schema_it_is_inferred_from_train(tmp_path: Path) -> None:
    splits = {"train": events(range(4), range(4)), "test": events(range(4), range(4), only_later=1, rating=9.0)}
    schema = write_schema(tmp_path, statistics_artifact(tmp_path / "statistics", splits), None)
    features = {feature.name: feature for feature in schema.feature}
    assert features["rating"].float_domain.max == 5.0
    assert features["only_later"].type == schema_pb2.INT
    assert not any(feature.HasField("shape") for feature in schema.feature)  # read as sparse


def test_without_train_statistics_there_is_nothing_to_infer_from(tmp_path: Path) -> None:
    statistics = statistics_artifact(tmp_path / "statistics", {"test": events(range(2), range(2))})
    with pytest.raises(DataError, match=r"no split 'train', only \['test'\]"):
        write_schema(tmp_path, statistics, None)


def test_a_curated_schema_replaces_the_inferred_one_and_its_text_is_part_of_the_node(tmp_path: Path) -> None:
    path = tmp_path / "curated.pbtxt"
    path.write_text('feature { name: "user_id" type: BYTES }')
    first = SchemaGen(statistics=STATISTICS, schema_path=str(path))
    path.write_text('feature { name: "user_id" type: INT }')
    second = SchemaGen(statistics=STATISTICS, schema_path=str(path))
    # The cache key holds the parameters: an edited file is another node.
    assert first.exec_properties["curated"] != second.exec_properties["curated"]

    statistics = statistics_artifact(tmp_path / "statistics", {"train": events(range(2), range(2))})
    schema = write_schema(tmp_path, statistics, second.exec_properties["curated"])
    assert [(feature.name, feature.type) for feature in schema.feature] == [("user_id", schema_pb2.INT)]


@pytest.mark.parametrize(
    ("text", "words"),
    [("feature { nam: 1 }", "is not a schema"), ("", "describes no feature"), (None, "cannot be read")],
)
def test_a_curated_schema_that_is_none_is_refused_before_the_run(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "curated.pbtxt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        SchemaGen(statistics=STATISTICS, schema_path=str(path))
    assert str(path) in str(caught.value)
    assert "data.schema_path" in str(caught.value)
