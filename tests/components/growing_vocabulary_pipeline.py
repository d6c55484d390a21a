"""From interactions to a transform graph whose vocabulary of items grows from span to span."""

import json
from pathlib import Path

from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import TransformGraph

from components.example_gen import ExampleGen
from components.resolver import LatestOtherTransformGraph
from components.schema_gen import SchemaGen
from components.transform import Transform
from datasets.sources import fingerprint
from settings.data import DataSettings, TableSource

FEATURES = [
    {"name": "item_id", "kind": "categorical", "tower": "candidate", "grow": True},
    {"name": "user_id", "kind": "categorical", "tower": "query"},
]


def create(root: Path, interactions: Path) -> Pipeline:
    settings = DataSettings(source=TableSource(path=str(interactions)))
    example_gen = ExampleGen(data=settings.model_dump_json(), fingerprint=fingerprint(settings))
    examples = example_gen.outputs["examples"]
    statistics_gen = StatisticsGen(examples=examples, exclude_splits=["items", "users"])
    schema_gen = SchemaGen(statistics=statistics_gen.outputs["statistics"])
    earlier = Resolver(
        strategy_class=LatestOtherTransformGraph, transform_graph=Channel(type=TransformGraph), examples=examples
    ).with_id("VocabularyResolver")
    transform = Transform(
        examples=examples,
        schema=schema_gen.outputs["schema"],
        features=json.dumps(FEATURES),
        earlier_graph=earlier.outputs["transform_graph"],
    )
    return Pipeline(
        pipeline_name="growing",
        pipeline_root=str(root / "artifacts"),
        components=[example_gen, statistics_gen, schema_gen, earlier, transform],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
        beam_pipeline_args=["--runner=FnApiRunner"],
    )
