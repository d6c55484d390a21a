"""StatisticsGen: TFDV's statistics of each split."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx import types
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils

from datasets.columns import EVENT_SPLITS
from datasets.example_files import ExampleFiles


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads the examples and writes their statistics."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write `FeatureStats.pb` of each split."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        splits = json.loads(exec_properties["splits"])
        statistics.split_names = artifact_utils.encode_split_names(splits)
        statistics.span = examples.span
        # Sketches: every row has a query id of its own, and to count a million of them took a third of the node's time.
        options = tfdv.StatsOptions(use_sketch_based_topk_uniques=True)
        with self._make_beam_pipeline() as pipeline:
            for split in splits:
                (source,) = artifact_utils.get_split_uris([examples], split)
                (target,) = artifact_utils.get_split_uris([statistics], split)
                files = ExampleFiles(io_utils.all_files_pattern(source))
                _ = (
                    pipeline
                    | f"Read {split}" >> files.BeamSource()
                    | f"Statistics of {split}" >> tfdv.GenerateStatistics(options)
                    | f"Write {split}" >> tfdv.WriteStatisticsToBinaryFile(os.path.join(target, DEFAULT_FILE_NAME))
                )


class StatisticsGenSpec(ComponentSpec):
    """Inputs, outputs and parameters of StatisticsGen."""

    PARAMETERS = {"splits": ExecutionParameter(type=str)}  # noqa: RUF012 - TFX's form
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012
    OUTPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}  # noqa: RUF012


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """Counts and summarises every column of the events, split by split, as TFX's StatisticsGen does, but faster.

    Of a column of texts with more than 1,024 different values, the counts of the most frequent ones are estimates, too
    high by up to a thousandth of all rows; beyond 16,384, how many there are is one, too.

    Args:
      examples: from ExampleGen; its splits of items and users are passed over.
    """

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, examples: types.BaseChannel) -> None:
        statistics = types.Channel(type=standard_artifacts.ExampleStatistics)
        super().__init__(
            StatisticsGenSpec(examples=examples, statistics=statistics, splits=json.dumps(list(EVENT_SPLITS)))
        )
