"""Which model a candidate is compared with."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

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
        models = {model.id: model for model in input_dict["model"] if model.id not in candidates}
        blessings = _latest_first(store, input_dict["model_blessing"])
        serving = _served_uri(self._serving_root)
        # A stable sort: of the others the latest comes first, as before.
        blessings.sort(key=lambda blessing: getattr(models.get(_model_id(blessing)), "uri", None) != serving)
        for blessing in blessings:
            model = models.get(_model_id(blessing))
            if model is None or not _is_blessed(blessing):
                continue
            if fileio.exists(model.uri):
                return {**input_dict, "model": [model], "model_blessing": [blessing]}
            _log.warning("Blessed model %s was deleted: looking for an earlier one to compare with.", model.uri)
        return {**input_dict, "model": [], "model_blessing": []}


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


def _latest_first(store: mlmd.MetadataStore, blessings: Sequence[types.Artifact]) -> list[types.Artifact]:
    """Sort by the last time that an Evaluator put the blessing out; cached runs count."""
    times: dict[int, int] = {}
    if blessings:
        for event in store.get_events_by_artifact_ids([blessing.id for blessing in blessings]):
            if event.type == metadata_store_pb2.Event.OUTPUT:
                times[event.artifact_id] = max(times.get(event.artifact_id, 0), event.milliseconds_since_epoch)
    return sorted(blessings, key=lambda blessing: (times.get(blessing.id, 0), blessing.id), reverse=True)
