"""Where and with what the pipeline runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from settings.section import Section

# Both end well and lack rows, which no later step can see.
_LOSES_ROWS = {
    "dask": "DaskRunner reports success and drops rows",
    "multithreading": "direct_running_mode=multi_threading lost rows in every run that was tried",
}
# Beam's flags that a preset sets.
_PRESET_FLAGS = ("--runner", "--direct_running_mode")
# The image is never pulled by these runners; unnamed, TFX would pack itself for remote workers at every node.
_NOT_PULLED = "--sdk_container_image=in-process"
_ON_DATAFLOW = ("--project", "--region", "--temp_location", "--sdk_container_image")


def _runner(name: Any) -> Any:
    plain = str(name).lower().replace("-", "").replace("_", "").removesuffix("runner")
    if plain in _LOSES_ROWS:
        raise ValueError(f"{name} is refused: {_LOSES_ROWS[plain]}. Expected in-memory or multi-processing")
    return name


class BeamSettings(Section):
    """Which engine runs the Beam steps: reading, statistics, Transform, evaluation.

    Example:
      >>> BeamSettings(runner="multi-processing", workers=4).pipeline_args[1:3]
      ('--direct_running_mode=multi_processing', '--direct_num_workers=4')
    """

    runner: Annotated[
        Literal["in-memory", "multi-processing", "portable", "flink", "spark", "dataflow"], BeforeValidator(_runner)
    ] = Field(
        "in-memory",
        description="in-memory: in the node's process. multi-processing: in `workers` processes. portable: workers of "
        "the pool at `worker_pool`. flink, spark: through the job server of kubernetes/beam. dataflow: Google's.",
    )
    workers: int = Field(2, ge=1, description="Processes of multi-processing.")
    worker_pool: str = Field(
        "localhost:50000",
        description="Python worker pool of portable, flink and spark, as each worker machine sees it.",
    )
    job_endpoint: str | None = Field(
        None, description="Job server. Empty: a server within the process for portable, shortlist-beam-jobs:8099 else."
    )
    artifact_endpoint: str | None = Field(
        None, description="Where the job server takes files. Empty: shortlist-beam-jobs:8098 for flink and spark."
    )
    args: tuple[str, ...] = Field((), description="Further Beam pipeline arguments, --name=value.")

    @model_validator(mode="after")
    def _args_fit(self) -> BeamSettings:
        names = [argument.partition("=")[0] for argument in self.args]
        twice = sorted(set(names) & set(_PRESET_FLAGS))
        if twice:
            raise ValueError(
                f"beam.args: {twice[0]} is set by beam.runner. Expected it there, as one of in-memory, "
                "multi-processing, portable, flink, spark, dataflow"
            )
        missing = [flag for flag in _ON_DATAFLOW if flag not in names]
        if self.runner == "dataflow" and missing:
            raise ValueError(
                f"beam.args: dataflow needs {', '.join(missing)}. Expected, for example, --project=my-project "
                "--region=europe-west1 --temp_location=gs://bucket/tmp --sdk_container_image=<the project's image>"
            )
        return self

    @property
    def pipeline_args(self) -> tuple[str, ...]:
        """Beam's pipeline arguments.

        The in-process runner is named: Beam's default one would fetch a Go engine where it finds a network.
        """
        if self.runner == "in-memory":
            return ("--runner=FnApiRunner", _NOT_PULLED, *self.args)
        if self.runner == "multi-processing":
            mode = ("--direct_running_mode=multi_processing", f"--direct_num_workers={self.workers}")
            return ("--runner=FnApiRunner", *mode, _NOT_PULLED, *self.args)
        if self.runner == "dataflow":
            return ("--runner=DataflowRunner", *self.args)
        workers = ("--environment_type=EXTERNAL", f"--environment_config={self.worker_pool}", _NOT_PULLED)
        return ("--runner=PortableRunner", *self._job_server(), *workers, *self.args)

    def _job_server(self) -> tuple[str, ...]:
        on_cluster = self.runner != "portable"
        jobs = self.job_endpoint or ("shortlist-beam-jobs:8099" if on_cluster else "embed")
        artifacts = self.artifact_endpoint or ("shortlist-beam-jobs:8098" if on_cluster else None)
        return (f"--job_endpoint={jobs}", *((f"--artifact_endpoint={artifacts}",) if artifacts else ()))


class PushSettings(Section):
    """Where blessed models go."""

    keep: int = Field(5, ge=1, description="Versions kept in the serving directory.")
