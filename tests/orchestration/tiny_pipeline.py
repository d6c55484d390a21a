"""A pipeline with the node ids of the real one whose components take milliseconds; runners and store are real.

No postponed annotations here: TFX reads those of component functions as objects.
"""

# ruff: noqa: N802 a component is named like the class that it becomes

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver, ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model, ModelBlessing, ModelRun, PushedModel

from settings.config import Config
from settings.errors import DataAnomaliesError, DataError, ShortlistError

DATA = {
    "source": "made up",
    "fingerprint": "f",
    "quarantined": 1,
    "splits": {"train": {"rows": 8, "users": 2, "items": 5, "first_timestamp": 10, "last_timestamp": 70}},
}
METRICS = [
    {"slice": "overall", "name": "ndcg@10", "value": 0.3, "baseline": None, "popularity": 0.2},
    {"slice": "overall", "name": "spread", "value": float("nan"), "baseline": None, "popularity": None},
    {"slice": "gender=F", "name": "ndcg@10", "value": 0.4, "baseline": None, "popularity": 0.1},
]


class RaggedLine(beam.DoFn):
    """Fails the way a reader of ours does."""

    def process(self, element: Any) -> None:
        raise DataError(f"ratings.csv, line {element}: has 2 fields. Expected 4")


class BrokenStrategy(ResolverStrategy):
    """A resolver that TFX fails without raising."""

    def resolve_artifacts(self, store: Any, input_dict: Any) -> Any:
        return None


@component
def ExampleGen(examples: OutputArtifact[Examples], fail: Parameter[str] = "") -> None:
    (Path(examples.uri) / "data.json").write_text(json.dumps(DATA))
    if fail == "anomalies":
        raise DataAnomaliesError("age: has type BYTES in 3 rows.\n  Expected INT")
    if fail == "bug":
        raise KeyError("column")
    if fail == "interrupt":
        raise KeyboardInterrupt
    if fail == "beam":
        with beam.Pipeline("FnApiRunner") as pipeline:
            pipeline | beam.Create([3]) | beam.ParDo(RaggedLine())


@component
def Trainer(
    examples: InputArtifact[Examples],
    model: OutputArtifact[Model],
    model_run: OutputArtifact[ModelRun],
    seed: Parameter[int] = 1,
) -> None:
    print("noise on stdout")
    for epoch in (1, 2):
        fields = {"kind": "epoch", "epoch": epoch, "epochs": 2, "step": 4, "steps": 4, "loss": 1.0 / epoch}
        logging.getLogger("shortlist.progress").info("epoch", extra={"progress": fields})
    history = {"epochs": [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}], "examples_per_second": 12.5}
    (Path(model_run.uri) / "history.json").write_text(json.dumps(history))
    (Path(model.uri) / "saved_model.pb").write_text(str(seed))


@component
def Evaluator(
    model: InputArtifact[Model], blessing: OutputArtifact[ModelBlessing], blessed: Parameter[int] = 1
) -> None:
    gate = {"name": "floor", "slice": "overall", "value": 0.3, "bound": 0.25, "passed": bool(blessed), "reason": "0.3"}
    (Path(blessing.uri) / "gate.json").write_text(json.dumps([gate]))
    (Path(blessing.uri) / "metrics.json").write_text(json.dumps(METRICS))
    blessing.set_int_custom_property("blessed", blessed)


@component
def InfraValidator(
    model: InputArtifact[Model], blessing: OutputArtifact[InfraBlessing], blessed: Parameter[int] = 1
) -> None:
    blessing.set_int_custom_property("blessed", blessed)


@component
def Pusher(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    pushed_model: OutputArtifact[PushedModel],
    serving_root: Parameter[str],
) -> None:
    blessed = all(a.get_int_custom_property("blessed") for a in (model_blessing, infra_blessing))
    pushed_model.set_int_custom_property("pushed", int(blessed))
    if blessed:
        root = Path(serving_root)
        version = root / str(1 + max((int(path.name) for path in root.glob("*")), default=0))
        version.mkdir(parents=True)
        (version / "saved_model.pb").write_bytes((Path(model.uri) / "saved_model.pb").read_bytes())
        pushed_model.set_string_custom_property("pushed_destination", str(version))


def tiny(
    fail: str = "", seed: int = 1, blessed: bool = True, infra_blessed: bool = True
) -> Callable[[Config, Path, bool], Pipeline]:
    """Return a `create_pipeline` whose nodes behave as asked."""

    def create_pipeline(config: Config, output_root: Path, enable_cache: bool = True) -> Pipeline:
        if fail == "early":
            raise DataError("ratings.csv: is empty. Expected a header")
        example_gen = ExampleGen(fail=fail)
        trainer = Trainer(examples=example_gen.outputs["examples"], seed=seed)
        model = trainer.outputs["model"]
        strategy = BrokenStrategy if fail == "resolver" else LatestBlessedModelStrategy
        baseline = Resolver(
            strategy_class=strategy, model=Channel(type=Model), model_blessing=Channel(type=ModelBlessing)
        ).with_id("BaselineResolver")
        baseline.add_upstream_node(trainer)
        evaluator = Evaluator(model=model, blessed=int(blessed))
        evaluator.add_upstream_node(baseline)
        infra_validator = InfraValidator(model=model, blessed=int(infra_blessed))
        pusher = Pusher(
            model=model,
            model_blessing=evaluator.outputs["blessing"],
            infra_blessing=infra_validator.outputs["blessing"],
            serving_root=str(output_root / "serving" / config.name),
        )
        return Pipeline(
            pipeline_name=config.name,
            pipeline_root=str(output_root / "artifacts"),
            components=[example_gen, trainer, baseline, evaluator, infra_validator, pusher],
            metadata_connection_config=sqlite_metadata_connection_config(str(output_root / "metadata.sqlite")),
            enable_cache=enable_cache,
        )

    return create_pipeline


__all__ = ["DATA", "METRICS", "ShortlistError", "tiny"]
