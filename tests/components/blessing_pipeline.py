"""Pipelines of four tiny nodes around a resolver, which remember what was compared or started from."""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing

from components.resolver import LatestBlessedModelOfOtherData, LatestOtherBlessedModel


@component
def Train(model: OutputArtifact[Model], version: Parameter[str]):  # noqa: N802 - the node id
    path = Path(model.uri)
    path.mkdir(parents=True, exist_ok=True)
    (path / "version").write_text(version)
    (path / "saved_model.pb").write_text(version)  # so that it can be pushed


@component
def Judge(  # noqa: N802
    model: InputArtifact[Model], blessing: OutputArtifact[ModelBlessing], good: Parameter[int], log: Parameter[str]
):
    version = (Path(model.uri) / "version").read_text()
    with Path(log).open("a") as file:
        file.write(f"judged {version}\n")
    blessing.set_int_custom_property("blessed", good)
    blessing.set_int_custom_property("current_model_id", model.id)


@component
def Compare(log: Parameter[str], model: InputArtifact[Model], baseline: InputArtifact[Model] = None):  # noqa: N802 - the node id
    version = (Path(model.uri) / "version").read_text()
    other = (Path(baseline.uri) / "version").read_text() if baseline else "nothing"
    with Path(log).open("a") as file:
        file.write(f"compared {version} with {other}\n")


@component
def Read(examples: OutputArtifact[Examples], data: Parameter[str]):  # noqa: N802 - the node id
    path = Path(examples.uri)
    path.mkdir(parents=True, exist_ok=True)
    (path / "data").write_text(data)


@component
def TrainOn(  # noqa: N802 - the node id
    examples: InputArtifact[Examples],
    model: OutputArtifact[Model],
    version: Parameter[str],
    log: Parameter[str],
    base: InputArtifact[Model] = None,
):
    path = Path(model.uri)
    path.mkdir(parents=True, exist_ok=True)
    (path / "version").write_text(version)
    start = (Path(base.uri) / "version").read_text() if base else "nothing"
    with Path(log).open("a") as file:
        file.write(f"trained {version} from {start}\n")


def create_warm(root: Path, data: str, version: str, good: int, log: Path) -> Pipeline:
    read = Read(data=data)
    examples = read.outputs["examples"]
    resolver = Resolver(
        strategy_class=LatestBlessedModelOfOtherData,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        examples=examples,
    ).with_id("WarmStartResolver")
    train = TrainOn(examples=examples, base=resolver.outputs["model"], version=version, log=str(log))
    judge = Judge(model=train.outputs["model"], good=good, log=str(log))
    return _pipeline(root, "warm", [read, resolver, train, judge])


def create(root: Path, name: str, version: str, good: int, log: Path) -> Pipeline:
    train = Train(version=version)
    resolver = Resolver(
        strategy_class=LatestOtherBlessedModel,
        config={"serving_root": str(root / "serving")},
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        candidate=train.outputs["model"],
    ).with_id("BaselineResolver")
    compare = Compare(model=train.outputs["model"], baseline=resolver.outputs["model"], log=str(log))
    judge = Judge(model=train.outputs["model"], good=good, log=str(log))
    judge.add_upstream_node(compare)
    return _pipeline(root, name, [train, resolver, compare, judge])


def _pipeline(root: Path, name: str, components: list[BaseNode]) -> Pipeline:
    return Pipeline(
        pipeline_name=name,
        pipeline_root=str(root / "artifacts" / name),
        components=components,
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
    )
