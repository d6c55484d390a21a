"""A pipeline around ExampleValidator whose data are made on the spot: users of one gender or the other."""

import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import artifact_utils
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics

from components.example_validator import ExampleValidator
from components.resolver import LatestOtherStatistics
from components.schema_gen import SchemaGen
from tests.components.split_statistics import event, statistics_of

RULES = {"drift": [{"feature": "gender", "at_most": 0.3, "measure": "l_infinity"}, {"feature": "age", "at_most": 0.2}]}


def rows(percent_women: int, years: int = 20) -> list[dict]:
    """A hundred events of users whose ages spread over ten years."""
    return [
        event(user, 1, 1 + user % 5, gender="F" if user < percent_women else "M", age=years + user % 10)
        for user in range(100)
    ]


@component
def Statistics(statistics: OutputArtifact[ExampleStatistics], percent_women: Parameter[int], years: Parameter[int]):  # noqa: N802
    folder = Path(statistics.uri) / "Split-train"
    folder.mkdir(parents=True)
    (folder / "FeatureStats.pb").write_bytes(statistics_of(rows(percent_women, years)).SerializeToString())
    statistics.split_names = artifact_utils.encode_split_names(["train"])


def create(root: Path, percent_women: int, years: int) -> Pipeline:
    statistics = Statistics(percent_women=percent_women, years=years)
    schema_gen = SchemaGen(statistics=statistics.outputs["statistics"])
    previous = Resolver(
        strategy_class=LatestOtherStatistics,
        statistics=Channel(type=ExampleStatistics),
        anomalies=Channel(type=ExampleAnomalies),
        current=statistics.outputs["statistics"],
    ).with_id("PreviousDataResolver")
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        rules=json.dumps(RULES),
        previous=previous.outputs["statistics"],
    )
    return Pipeline(
        pipeline_name="spans",
        pipeline_root=str(root / "artifacts"),
        components=[statistics, schema_gen, previous, validator],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
    )
