"""ExampleGen: interactions in, tf.Examples by split out, each row with what was known before it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from datasets import columns as c
from datasets import sources
from datasets.example_encoder import encode
from datasets.leakage import leakage_report
from datasets.quarantine import QUARANTINE_FILE, Quarantine, count_by_reason
from datasets.timeline import Timeline
from settings.data import DataSettings

SUMMARY_FILE = "data.json"
_log = logging.getLogger("shortlist")


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads the source and writes all splits."""

    def Do(  # noqa: N802
        self, input_dict: dict[str, Any], output_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]
    ) -> None:
        """Write the examples; beside them `data.json`, what was read, and `quarantine.jsonl`, what was not."""
        settings = DataSettings.model_validate_json(exec_properties["data"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        quarantine = Quarantine(settings.bad_rows)
        timeline = Timeline(sources.read(settings.source, quarantine, self._beam_pipeline_args or ()), settings)
        if timeline.num_duplicates:
            _log.warning("%d events repeated user, item and second; they were dropped", timeline.num_duplicates)
        uri = Path(examples.uri)
        quarantine.write(uri / QUARANTINE_FILE)
        for reason, count in count_by_reason(quarantine.rows).items():
            _log.warning("%d malformed rows were set aside in %s: %s", count, uri / QUARANTINE_FILE, reason)
        for split in c.EVENT_SPLITS:
            _write(uri, split, timeline.blocks(split))
        _write(uri, c.ITEMS_SPLIT, [timeline.item_rows()])
        _write(uri, c.USERS_SPLIT, timeline.user_blocks())
        examples.split_names = artifact_utils.encode_split_names([*c.EVENT_SPLITS, c.ITEMS_SPLIT, c.USERS_SPLIT])
        summary = {
            "source": timeline.data.source,
            "fingerprint": exec_properties["fingerprint"],
            "duplicates": timeline.num_duplicates,
            "quarantined": len(quarantine.rows),
            "counts": timeline.data.counts,
            "splits": timeline.summary(),
        }
        leakage = leakage_report(timeline)
        for column in leakage.target_derived:
            _log.warning(
                "column %s alone tells %s (AUC %.3f): was it made of it?", column.column, column.label, column.auc
            )
        summary["leakage"] = leakage.model_dump()
        (uri / SUMMARY_FILE).write_text(json.dumps(summary, indent=2))


def _write(uri: Path, split: str, blocks: Iterable[pa.RecordBatch]) -> None:
    folder = uri / f"Split-{split}"
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "data_tfrecord-00000-of-00001.gz")
    # Level 1: twice as fast as the default, for a tenth more bytes.
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
    with tf.io.TFRecordWriter(path, options) as writer:
        for block in blocks:
            for example in encode(block):
                writer.write(example.as_py())


class ExampleGenSpec(ComponentSpec):
    """What goes in and comes out."""

    PARAMETERS = {  # noqa: RUF012 - TFX's form
        "data": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}  # noqa: RUF012
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012


class ExampleGen(base_beam_component.BaseBeamComponent):
    """Reads interactions, splits them by time and computes point-in-time features.

    Outputs `examples` with the splits train, eval, test (a row an event), items (a row a catalogue item) and users (a
    row a user, as of the end of the data).

    Args:
      data: the `data` section of the configuration as JSON.
      fingerprint: `datasets.sources.fingerprint` of that section; the cache key for the content of the input files.
    """

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, data: str, fingerprint: str) -> None:
        examples = types.Channel(type=standard_artifacts.Examples)
        super().__init__(ExampleGenSpec(data=data, fingerprint=fingerprint, examples=examples))
