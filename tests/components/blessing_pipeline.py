"""A pipeline of four tiny nodes around the resolver: train, resolve, judge, and remember what was compared."""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.resolver import LatestOtherBlessedModel


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
    return Pipeline(
        pipeline_name=name,
        pipeline_root=str(root / "artifacts" / name),
        components=[train, resolver, compare, judge],
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        enable_cache=True,
    )
