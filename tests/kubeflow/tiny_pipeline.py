"""A pipeline small enough to be run as separate processes: make a number, double it, take the best so far, publish.

It has what a Kubernetes runner can get wrong: a resolver over the results of earlier runs, a cached node, a node that
can be told to die, and one that raises the project's own error. TFX reads the annotations of components as objects:
no `from __future__ import annotations` here.
"""

import os
import time
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Examples, Model

from settings.config import Config
from settings.errors import DataAnomaliesError

SWITCH = "SHORTLIST_TEST_SWITCH"


def _act_on_switch(folder: str) -> None:
    """Die or raise once, when the file that the environment names says so."""
    switch = Path(os.environ.get(SWITCH, "/nonexistent"))
    order = switch.read_text() if switch.exists() else ""
    if order:
        switch.unlink()
        Path(folder, "half-written").write_text("rubbish")
    if order == "die":
        os.kill(os.getpid(), 9)
    if order == "anomalies":
        raise DataAnomaliesError("value.txt: column x is negative. Expected x >= 0")
    if order == "wait":
        Path(folder, "waiting").write_text("")
        switch.with_suffix(".waiting").write_text("")
        time.sleep(8)


def _write(uri: str, value: int) -> None:
    Path(uri, "value.txt").write_text(str(value))


@component
def Numbers(examples: OutputArtifact[Examples], seed: Parameter[int]):  # noqa: N802
    _write(examples.uri, seed)


@component
def Doubler(examples: InputArtifact[Examples], model: OutputArtifact[Model]):  # noqa: N802
    _act_on_switch(model.uri)
    _write(model.uri, 2 * int(Path(examples.uri, "value.txt").read_text()))


@component
def Publisher(  # noqa: N802
    model: InputArtifact[Model], baseline: InputArtifact[Model], folder: Parameter[str]
):
    new, old = (int(Path(artifact.uri, "value.txt").read_text()) for artifact in (model, baseline))
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "published").write_text(f"{new} after {old}")


def create_pipeline(
    config: Config, output_root: Path, enable_cache: bool = True, fingerprint: str | None = None
) -> Pipeline:
    numbers = Numbers(seed=config.training.seed)
    doubler = Doubler(examples=numbers.outputs["examples"])
    baseline = Resolver(strategy_class=LatestArtifactStrategy, model=Channel(type=Model)).with_id("Baseline")
    baseline.add_upstream_node(doubler)
    publisher = Publisher(
        model=doubler.outputs["model"], baseline=baseline.outputs["model"], folder=str(output_root / "serving")
    )
    nodes = [numbers, doubler, baseline, publisher]
    if config.training.epochs == 99:  # a pipeline of another shape
        nodes.append(Numbers(seed=0).with_id("Extra"))
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(output_root / "artifacts"),
        components=nodes,
        metadata_connection_config=sqlite_metadata_connection_config(str(output_root / "metadata.sqlite")),
        enable_cache=enable_cache,
    )
