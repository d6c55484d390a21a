"""Which earlier run is built on: the model to compare with or to start from, statistics, and vocabularies that grow."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from components.example_validator import STATISTICS_ID
from serving import version_store
from settings.errors import ShortlistError

_log = logging.getLogger(__name__)


class LatestOtherBlessedModel(ResolverStrategy):
    """Resolves the model that serves, else the latest blessed model; never the candidate; or nothing.

    The model that serves is the newest version's, whether a push or a rollback made it so: whoever rolled a model back
    does not want the next one measured by it.

    Unlike TFX's LatestBlessedModelStrategy, a candidate that was itself blessed in an earlier run is never its own
    baseline. So an unchanged run asks for the same baseline as the run before, and the Evaluator is answered from
    cache. "Latest" is the time of the last run in which the gate said yes, cached or not, not the age of the model: a
    model that returned to service counts as new. A model whose files were deleted is passed over.

    Args:
      serving_root: folder of the served versions; empty: what serves is not asked for.

    Inputs:
      model: all models of the pipeline.
      model_blessing: all blessings of the pipeline.
      candidate: the model to be evaluated.

    Example:
      ```
      Resolver(
          strategy_class=LatestOtherBlessedModel,
          model=Channel(type=Model),
          model_blessing=Channel(type=ModelBlessing),
          candidate=trainer.outputs["model"],
      ).with_id("BaselineResolver").outputs["model"]
      ```
    """

    def __init__(self, serving_root: str = "") -> None:
        self._serving_root = serving_root

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Return `model` and `model_blessing` with one artifact each, or both empty; `candidate` as it came."""
        candidates = {model.id for model in input_dict["candidate"]}
        return _latest_blessed(store, input_dict, candidates, _served_uri(self._serving_root))


class LatestBlessedModelOfOtherData(ResolverStrategy):
    """Resolves the latest blessed model that was not trained on the present examples, or nothing.

    So an unchanged run starts from the same model as the run before, and the Trainer is answered from cache; and no
    model is trained on the same rows twice.

    Inputs:
      model: all models of the pipeline.
      model_blessing: all blessings of the pipeline.
      examples: those that are to be trained on.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Return `model` and `model_blessing` with one artifact each, or both empty; `examples` as they came."""
        trained = _made_from(store, {artifact.id for artifact in input_dict["examples"]})
        return _latest_blessed(store, input_dict, trained)


class LatestOtherStatistics(ResolverStrategy):
    """Resolves the statistics of the latest other data that passed validation, or nothing.

    An unchanged run asks for the same as the run before, and ExampleValidator is answered from cache; data that were
    refused are compared with by nobody.

    Inputs:
      statistics: all statistics of the pipeline.
      anomalies: all outputs of ExampleValidator; it has none where it stopped the run.
      current: the statistics to be validated.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Return `statistics` and `anomalies` with one artifact each, or both empty; `current` as it came."""
        current = {statistics.id for statistics in input_dict["current"]}
        others = {s.id: s for s in input_dict["statistics"] if s.id not in current}
        for passed in _latest_first(store, input_dict["anomalies"]):
            statistics = others.get(passed.get_int_custom_property(STATISTICS_ID))
            if statistics is not None and fileio.exists(statistics.uri):
                return {**input_dict, "statistics": [statistics], "anomalies": [passed]}
        return {**input_dict, "statistics": [], "anomalies": []}


class LatestOtherTransformGraph(ResolverStrategy):
    """Resolves the latest transform graph that was not learnt from the present examples, or nothing.

    So an unchanged run goes on from the same vocabularies as the run before, and Transform is answered from cache.

    Inputs:
      transform_graph: all transform graphs of the pipeline.
      examples: those that are to be learnt from.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Return `transform_graph` with one artifact or empty; `examples` as they came."""
        learnt = _made_from(store, {artifact.id for artifact in input_dict["examples"]})
        others = [graph for graph in input_dict["transform_graph"] if graph.id not in learnt]
        latest = next((graph for graph in _latest_first(store, others) if fileio.exists(graph.uri)), None)
        return {**input_dict, "transform_graph": [] if latest is None else [latest]}


def _latest_blessed(
    store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]], without: set[int], first: str = ""
) -> dict[str, list[types.Artifact]]:
    """Return the inputs with the latest blessed model and its blessing, or with none.

    Args:
      store: of the metadata.
      input_dict: of the resolver.
      without: ids of models that are passed over.
      first: uri of a model that is taken before later ones.
    """
    models = {model.id: model for model in input_dict["model"] if model.id not in without}
    blessings = [
        (blessing, models.get(_model_id(blessing))) for blessing in _latest_first(store, input_dict["model_blessing"])
    ]
    # A stable sort: of the others the latest comes first.
    for blessing, model in sorted(blessings, key=lambda pair: pair[1] is None or pair[1].uri != first):
        if model is None or not _is_blessed(blessing):
            continue
        if fileio.exists(model.uri):
            return {**input_dict, "model": [model], "model_blessing": [blessing]}
        _log.warning("Blessed model %s was deleted: looking for an earlier one.", model.uri)
    return {**input_dict, "model": [], "model_blessing": []}


def _made_from(store: mlmd.MetadataStore, inputs: set[int]) -> set[int]:
    """Return the ids of all artifacts that an execution put out which had one of the inputs."""
    event = metadata_store_pb2.Event
    users = {e.execution_id for e in store.get_events_by_artifact_ids(inputs) if e.type == event.INPUT}
    return {e.artifact_id for e in store.get_events_by_execution_ids(users) if e.type == event.OUTPUT}


def _served_uri(serving_root: str) -> str:
    """Return the artifact that the newest served version was made from; empty where nothing tells."""
    try:
        newest = version_store.latest(serving_root) if serving_root else None
        return newest.manifest().model_uri if newest else ""
    except ShortlistError as error:
        _log.warning("What serves is not known, so the latest blessed model is compared with: %s", error)
        return ""


def _model_id(blessing: types.Artifact) -> int:
    return blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)


def _is_blessed(blessing: types.Artifact) -> bool:
    return blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == constants.BLESSED_VALUE


def _latest_first(store: mlmd.MetadataStore, artifacts: Sequence[types.Artifact]) -> list[types.Artifact]:
    """Sort by the last time that a node put the artifact out; cached runs count."""
    times: dict[int, int] = {}
    if artifacts:
        for event in store.get_events_by_artifact_ids([artifact.id for artifact in artifacts]):
            if event.type == metadata_store_pb2.Event.OUTPUT:
                times[event.artifact_id] = max(times.get(event.artifact_id, 0), event.milliseconds_since_epoch)
    return sorted(artifacts, key=lambda artifact: (times.get(artifact.id, 0), artifact.id), reverse=True)
