"""From our configuration to TFMA's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from datasets import columns
from evaluation import item_table
from evaluation.metric_table import list_cutoffs
from evaluation.metrics.catalogue_ranking import CatalogueRanking
from evaluation.metrics.classification import Classification
from evaluation.metrics.counterfactual import Counterfactual
from evaluation.metrics.depth_curve import DepthCurve
from evaluation.metrics.exposure import Exposure
from evaluation.metrics.popularity_profile import PopularityProfile
from evaluation.metrics.recommended_items import RecommendedItems
from evaluation.metrics.regression import Regression
from evaluation.metrics.row_ranking import RowRanking
from evaluation.metrics.score_health import ScoreHealth
from evaluation.metrics.score_histogram import ScoreHistogram
from evaluation.slices import bucket_names
from models.registry import Task
from settings.config import Config
from settings.evaluation import EvaluationSettings

CANDIDATE = "candidate"
BASELINE = "baseline"
SIGNATURE = "evaluate"
# Output with the recommended items themselves, bytes `(batch_size, settings.evaluation.LIST_LENGTH)`.
TOP_ITEMS = "top_items"
# The outputs of the `evaluate` signature that are measured: the model's and popularity's.
OUTPUTS: dict[Task, tuple[str, str]] = {
    "retrieval": ("rank", "popularity_rank"),
    "ranking": ("score", "popularity_score"),
    "rating": ("score", "popularity_score"),
}
# Functions that TFX's Evaluator calls to get TFMA's extractors; they decide what a query is.
EXTRACTORS: dict[Task, str] = {
    "retrieval": "evaluation.queries.by_request",
    "ranking": "evaluation.queries.by_user",
    "rating": "evaluation.queries.by_user",
}
_LABELS: dict[Task, str] = {"retrieval": columns.RELEVANT, "ranking": columns.LIKED, "rating": columns.RATING}


def build_eval_config(
    config: Config,
    with_baseline: bool = False,
    discovered: Mapping[str, Sequence[str]] | None = None,
    items_path: str | None = None,
) -> config_pb2.EvalConfig:
    """Return the TFMA configuration of an evaluation.

    Thresholds are not TFMA's but `evaluation.gate`'s. A metrics spec has no `query_key`, because `evaluation.queries`
    has grouped rows into queries before metrics see them. A numeric column with boundaries becomes one slicing spec a
    bucket, so that the configuration names every slice that it asks for.

    Args:
      config: the run's configuration; `model.task`, `evaluation.top_k` and `evaluation.slices` matter.
      with_baseline: also evaluate the baseline, on the same rows.
      discovered: names of slices by feature, as `evaluation.slice_discovery.discover` returns them.
      items_path: the written `evaluation.item_table`; None: recommended items are not looked at.
    """
    task = config.model.task
    label = _LABELS[task]
    model_specs = [config_pb2.ModelSpec(name=CANDIDATE, signature_name=SIGNATURE, label_key=label)]
    if with_baseline:
        model_specs.append(
            config_pb2.ModelSpec(name=BASELINE, signature_name=SIGNATURE, label_key=label, is_baseline=True)
        )
    names: dict[str, Sequence[str]] = {
        slices.feature: bucket_names(slices.boundaries) for slices in config.evaluation.slices if slices.boundaries
    }
    names |= discovered or {}
    families = [_family([settings.feature], names) for settings in config.evaluation.slices]
    families += [_family(cross, names) for cross in config.evaluation.crosses]
    options = config_pb2.Options()
    options.include_default_metrics.value = False
    return config_pb2.EvalConfig(
        model_specs=model_specs,
        metrics_specs=_metrics_specs(task, config.evaluation, items_path),
        slicing_specs=[config_pb2.SlicingSpec(), *itertools.chain.from_iterable(families)],
        options=options,
    )


def _metrics_specs(task: Task, settings: EvaluationSettings, items_path: str | None) -> list[config_pb2.MetricsSpec]:
    ranked: dict[str, object] = {"top_k": sorted(set(settings.top_k))}
    if settings.rating_thresholds:
        ranked["rating_thresholds"] = [settings.rating_thresholds.normal, settings.rating_thresholds.strict]
        ranked["rating_key"] = columns.RATING
    rows_ranked = _metric(RowRanking, **ranked, relevance_key=columns.LIKED)
    metrics = {
        "retrieval": [_metric(CatalogueRanking, **ranked), _metric(DepthCurve)],
        "ranking": [rows_ranked, _metric(Classification), _metric(ScoreHistogram)],
        "rating": [rows_ranked, _metric(Regression)],
    }[task]
    health = _metric(ScoreHealth, per_row_spread=task == "retrieval")
    if task == "retrieval" and settings.propensity_column:
        logged = {"reward_key": columns.LIKED, "propensity_key": settings.propensity_column}
        metrics.append(_metric(Counterfactual, top_k=ranked["top_k"], **logged))
    specs = [
        config_pb2.MetricsSpec(metrics=metrics, output_names=OUTPUTS[task]),
        config_pb2.MetricsSpec(metrics=[health], output_names=OUTPUTS[task][:1]),
    ]
    cutoffs = list_cutoffs(settings)
    if task == "retrieval" and items_path and cutoffs:
        of_lists = [
            _metric(RecommendedItems, top_k=cutoffs, items_path=items_path),
            _metric(Exposure, top_k=cutoffs, num_items=len(item_table.load(items_path))),
            _metric(PopularityProfile, k=cutoffs[len(cutoffs) // 2], items_path=items_path),
        ]
        # The lists are an output of their own; what is told of them goes by the name of the ranks.
        specs.append(config_pb2.MetricsSpec(metrics=of_lists, output_names=OUTPUTS[task][:1]))
    return specs


def features_of_metrics(eval_config: config_pb2.EvalConfig) -> set[str]:
    """Return the columns that metrics read beside label and outputs."""
    arguments = [json.loads(metric.config or "{}") for spec in eval_config.metrics_specs for metric in spec.metrics]
    named = ("relevance_key", "rating_key", "reward_key", "propensity_key")
    return {found[name] for found in arguments for name in named if name in found}


def recommended_items_of(eval_config: config_pb2.EvalConfig) -> dict[str, Any] | None:
    """Return the arguments of `RecommendedItems` in a configuration; None where recommended items are not looked at."""
    for spec in eval_config.metrics_specs:
        for metric in spec.metrics:
            if metric.class_name == RecommendedItems.__name__:
                return json.loads(metric.config)
    return None


def _metric(metric: type, **arguments: object) -> config_pb2.MetricConfig:
    return config_pb2.MetricConfig(
        class_name=metric.__name__, module=metric.__module__, config=json.dumps(arguments) if arguments else ""
    )


def _family(features: Sequence[str], names: Mapping[str, Sequence[str]]) -> list[config_pb2.SlicingSpec]:
    """Return the slicing specs of one family: one for all values, or one for each (cross of) slices with a name."""
    keys = [feature for feature in features if feature not in names]
    named = [feature for feature in features if feature in names]
    return [
        config_pb2.SlicingSpec(feature_keys=keys, feature_values=dict(zip(named, chosen, strict=True)))
        for chosen in itertools.product(*(names[feature] for feature in named))
    ]
