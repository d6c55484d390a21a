"""The Shortlist pipeline: `create_pipeline` is the DAG, `python pipeline.py` is the command line.

             ┌─> StatisticsGen ─> SchemaGen ─> ExampleValidator     anomalies stop the run
             │                                       │
ExampleGen ──┼─> Transform <─────────────────────────┘
             │       │
             ├─> Trainer ──┬─> BaselineResolver ─> Evaluator        TFMA, then the gate
             │             │                           │
             └─────────────┴─> InfraValidator ─────> Pusher         only what passed both

With a `tuning` section a Tuner stands before the Trainer; with `training.warm_start` a WarmStartResolver, too. Where a
vocabulary grows, a VocabularyResolver stands before Transform; where drift is limited, a PreviousDataResolver before
ExampleValidator.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from settings.config import Config

# The code behind an exported model's signatures, and behind the questions that infra validation asks it.
SERVABLE = (
    *("serving/servable.py", "serving/scoring.py", "serving/catalogue_ranking.py", "serving/queries.py"),
    *("serving/cold_start.py", "serving/item_similarity.py", "serving/attribute_filter.py", "serving/stages.py"),
    *("serving/approximate_index.py", "serving/diversity.py"),
)
MODEL_CHECK = ("serving/model_check.py", "serving/signature_checks.py", "serving/isolated_check.py")


def create_pipeline(
    config: Config, output_root: Path, enable_cache: bool = True, fingerprint: str | None = None
) -> Pipeline:
    """Return the TFX pipeline of one experiment; the same for every runner.

    Args:
      config: the validated configuration.
      output_root: folder of artifacts, metadata and served versions.
      enable_cache: reuse the outputs of nodes whose inputs, settings and code did not change.
      fingerprint: of the data, where they cannot be read; empty: read them.
    """
    # Imported here, not above: TFX takes many seconds, and `--help`, `validate` and `status` need none of it.
    from tfx.components.trainer.component import Trainer
    from tfx.components.tuner.component import Tuner
    from tfx.dsl.components.base.base_node import BaseNode
    from tfx.dsl.components.common.resolver import Resolver
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline
    from tfx.proto import trainer_pb2
    from tfx.types.channel import Channel
    from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, Model, ModelBlessing, TransformGraph

    from components.evaluator import Evaluator
    from components.example_gen import ExampleGen
    from components.example_validator import ExampleValidator
    from components.infra_validator import InfraValidator
    from components.pusher import Pusher
    from components.resolver import (
        LatestBlessedModelOfOtherData,
        LatestOtherBlessedModel,
        LatestOtherStatistics,
        LatestOtherTransformGraph,
    )
    from components.schema_gen import SchemaGen
    from components.statistics_gen import StatisticsGen
    from components.transform import Transform
    from datasets import sources
    from orchestration.fingerprint import code_fingerprint
    from settings.features import VocabularyFeature

    serving_root = str(output_root / "serving" / config.name)
    features = json.dumps([record.model_dump(mode="json") for record in config.features])

    example_gen = ExampleGen(
        data=config.data.model_dump_json(), fingerprint=fingerprint or sources.fingerprint(config.data)
    )
    examples = example_gen.outputs["examples"]

    statistics_gen = StatisticsGen(examples=examples)
    statistics = statistics_gen.outputs["statistics"]

    schema_gen = SchemaGen(statistics=statistics, schema_path=config.data.schema_path)
    schema = schema_gen.outputs["schema"]

    # What drift is measured from; without such rules there is nothing to resolve.
    previous = Resolver(
        strategy_class=LatestOtherStatistics,
        statistics=Channel(type=ExampleStatistics),
        anomalies=Channel(type=ExampleAnomalies),
        current=statistics,
    ).with_id("PreviousDataResolver")
    rules = config.validation
    example_validator = ExampleValidator(
        statistics=statistics,
        schema=schema,
        rules=rules.model_dump_json(),
        requests_fingerprint=sources.file_fingerprint(rules.requests_path) if rules.requests_path else None,
        previous=previous.outputs["statistics"] if rules.drift else None,
    )

    # Vocabularies that grow go on from this one's; without them there is nothing to resolve.
    grows = any(isinstance(record, VocabularyFeature) and record.grow for record in config.features)
    earlier = Resolver(
        strategy_class=LatestOtherTransformGraph, transform_graph=Channel(type=TransformGraph), examples=examples
    ).with_id("VocabularyResolver")
    transform = Transform(
        examples=examples,
        schema=schema,
        features=features,
        code=code_fingerprint("transforms", "components/transform.py"),
        earlier_graph=earlier.outputs["transform_graph"] if grows else None,
    )
    transform.add_upstream_node(example_validator)

    training = {
        "features": features,
        "model": config.model.model_dump_json(),
        "training": config.training.model_dump_json(),
        "code": code_fingerprint("models", *SERVABLE),
    }
    before_trainer: list[BaseNode] = []
    hyperparameters = base_model = None
    if config.tuning is not None:
        tuner = Tuner(
            examples=examples,
            transform_graph=transform.outputs["transform_graph"],
            tuner_fn="models.tuner.tuner_fn",
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
            custom_config={**training, "tuning": config.tuning.model_dump_json()},
        )
        before_trainer.append(tuner)
        hyperparameters = tuner.outputs["best_hyperparameters"]
    if config.training.warm_start:
        base = Resolver(
            strategy_class=LatestBlessedModelOfOtherData,
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
            examples=examples,
        ).with_id("WarmStartResolver")
        before_trainer.append(base)
        base_model = base.outputs["model"]

    trainer = Trainer(
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        run_fn="models.trainer.run_fn",
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        base_model=base_model,
        hyperparameters=hyperparameters,
        # Only what training depends on: a new gate or slice must not train again. The ladder is in the exported graph.
        custom_config={**training, "serving": config.serving.model_dump_json()},
    )
    model = trainer.outputs["model"]

    baseline = Resolver(
        strategy_class=LatestOtherBlessedModel,
        config={"serving_root": serving_root},
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        candidate=model,
    ).with_id("BaselineResolver")

    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline.outputs["model"],
        config=config.to_json(),
        code=code_fingerprint("evaluation", "components/evaluator.py"),
    )

    infra_validator = InfraValidator(model=model, examples=examples, code=code_fingerprint(*MODEL_CHECK))

    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
        serving_root=serving_root,
        keep=config.push.keep,
    )

    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(output_root / "artifacts"),
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            *([previous] if rules.drift else []),
            example_validator,
            *([earlier] if grows else []),
            transform,
            *before_trainer,
            trainer,
            baseline,
            evaluator,
            infra_validator,
            pusher,
        ],
        metadata_connection_config=sqlite_metadata_connection_config(str(output_root / "metadata.sqlite")),
        enable_cache=enable_cache,
        beam_pipeline_args=list(config.beam.pipeline_args),
    )


if __name__ == "__main__":
    from orchestration.command_line import main

    main()
