"""A pipeline of tiny nodes around Transform, whose vocabulary of items grows from span to span."""

import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Examples, Schema, TransformGraph

from components.resolver import LatestOtherTransformGraph
from components.transform import Transform

FEATURES = [
    {"name": "item_id", "kind": "categorical", "tower": "candidate", "grow": True},
    {"name": "user_id", "kind": "categorical", "tower": "query"},
]


@component
def Events(examples: OutputArtifact[Examples], schema: OutputArtifact[Schema], rows: Parameter[str]):  # noqa: N802
    for artifact in (examples, schema):
        Path(artifact.uri).mkdir(parents=True, exist_ok=True)
    (Path(examples.uri) / "rows.json").write_text(rows)


def create(root: Path, events: list[tuple[int, str]]) -> Pipeline:
    rows = [{"user_id": [user], "item_id": [item]} for user, item in events]
    read = Events(rows=json.dumps(rows))
    examples = read.outputs["examples"]
    earlier = Resolver(
        strategy_class=LatestOtherTransformGraph, transform_graph=Channel(type=TransformGraph), examples=examples
    ).with_id("VocabularyResolver")
    transform = Transform(
        examples=examples,
        schema=read.outputs["schema"],
        features=json.dumps(FEATURES),
        earlier_graph=earlier.outputs["transform_graph"],
    )
    return Pipeline(
        pipeline_name="growing",
        pipeline_root=str(root / "artifacts"),
        components=[read, earlier, transform],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
    )
