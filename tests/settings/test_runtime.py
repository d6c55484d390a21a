from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from settings.runtime import BeamSettings


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ["--runner=FnApiRunner"]),
        ({"runner": "multi-processing"}, ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]),
        (
            {"runner": "portable", "worker_pool": "localhost:7"},
            ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_config=localhost:7"],
        ),
        (
            {"runner": "flink"},
            ["--job_endpoint=shortlist-beam-jobs:8099", "--artifact_endpoint=shortlist-beam-jobs:8098"],
        ),
        ({"runner": "spark", "job_endpoint": "jobs:1"}, ["--job_endpoint=jobs:1", "--environment_type=EXTERNAL"]),
        ({"args": ["--streaming"]}, ["--runner=FnApiRunner", "--streaming"]),
    ],
)
def test_a_preset_becomes_beams_arguments(changes: dict[str, Any], wanted: list[str]) -> None:
    arguments = BeamSettings.model_validate(changes).pipeline_args
    assert set(wanted) <= set(arguments)
    assert sum(argument.startswith("--runner=") for argument in arguments) == 1


def test_dataflow_runs_the_image_that_it_was_given() -> None:
    given = ("--project=p", "--region=r", "--temp_location=gs://b/t", "--sdk_container_image=registry.example/s:1")
    assert BeamSettings(runner="dataflow", args=given).pipeline_args == ("--runner=DataflowRunner", *given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runner": "DaskRunner"}, ["DaskRunner is refused", "drops rows"]),
        ({"runner": "multi_threading"}, ["multi_threading is refused", "lost rows"]),
        ({"runner": "ray"}, ["'in-memory'", "'dataflow'"]),
        ({"args": ["--direct_running_mode=multi_threading"]}, ["--direct_running_mode", "beam.runner"]),
        ({"args": ["--runner=DaskRunner"]}, ["--runner", "beam.runner"]),
        ({"runner": "dataflow", "args": ["--project=p"]}, ["--region, --temp_location, --sdk_container_image"]),
    ],
)
def test_what_loses_rows_or_misses_something_is_refused_with_the_reason(
    changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValidationError) as caught:
        BeamSettings.model_validate(changes)
    text = str(caught.value)
    assert all(word in text for word in words), text
