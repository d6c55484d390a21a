"""The record of one run, `runs/<run id>/summary.json`: the contract with every program that reads it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Raised when a field changes its meaning or goes away; new fields do not raise it.
SCHEMA_VERSION = 1

NodeState = Literal["complete", "cached", "reused", "failed", "not_run"]


def _finite_or_none(value: Any) -> Any:
    """JSON knows no NaN: a value that is not finite is stored as null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
Interval = tuple[float, float] | None


class Record(BaseModel):
    """Base of all parts: frozen; unknown keys are kept out, so that older programs read newer files."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SplitRecord(Record):
    """One split of the examples."""

    rows: int = Field(description="Rows.")
    users: int = Field(description="Distinct users.")
    items: int = Field(description="Distinct items.")
    first_timestamp: int | None = Field(None, description="Earliest event, seconds since 1970; null where none.")
    last_timestamp: int | None = Field(None, description="Latest event, seconds since 1970; null where none.")


class SuspiciousColumnRecord(Record):
    """A column that alone predicts a label too well to be innocent."""

    column: str = Field(description="Raw column.")
    label: str = Field(description="`rating`, `relevant` or `liked`.")
    auc: float = Field(description="How well the column alone orders the labels of train.")


class LeakageRecord(Record):
    """What a model could know that it will not know when it serves."""

    pairs_across_splits: int = Field(description="Eval and test rows whose user and item also meet in train.")
    rows_across_splits: int = Field(description="Eval and test rows that are a train row: user, item and time.")
    in_order: bool = Field(description="Whether all of train is earlier than eval, and that than test.")
    target_derived: tuple[SuspiciousColumnRecord, ...] = Field((), description="Columns that look made of a label.")


class NodeRecord(Record):
    """One node of the DAG."""

    name: str = Field(description="Node id.")
    state: NodeState = Field(
        description="`complete`: ran. `cached`: nothing changed, so an earlier run's outputs were taken. `reused`: "
        "left out by --from-node or --to-node, an earlier run's outputs were taken. `failed`. `not_run`: never reached."
    )
    seconds: float = Field(0.0, description="Wall seconds.")
    cached: bool = Field(False, description="True for `cached` and `reused`: no work was done.")
    upstream: tuple[str, ...] = Field((), description="Nodes whose outputs or success this node waits for.")
    outputs: dict[str, tuple[str, ...]] = Field({}, description="Artifact folders by output key.")


class MetricRecord(Record):
    """One metric on one slice of the test split, from the Evaluator."""

    slice: str = Field(description="`overall`, or `<feature>=<value>`.")
    name: str = Field(description="For example `ndcg@10`.")
    value: Number = Field(description="The candidate's; null where it is not finite.")
    baseline: Number = Field(None, description="The latest blessed model's; null where there is none.")
    popularity: Number = Field(None, description="Popularity's in the same evaluation; null where not measured.")
    interval: Interval = Field(None, description="Two-sided, at `gate.confidence`, over users; null where not known.")
    baseline_interval: Interval = Field(None, description="The baseline's.")
    popularity_interval: Interval = Field(None, description="Popularity's.")
    difference_interval: Interval = Field(None, description="Of the paired difference, candidate minus baseline.")
    lift_interval: Interval = Field(None, description="Of the paired difference, candidate minus popularity.")


class GateRecord(Record):
    """One check of the gate."""

    name: str = Field(description="What is checked.")
    slice: str = Field("overall", description="On which slice.")
    value: Number = Field(None, description="What was measured.")
    bound: Number = Field(None, description="What was asked for.")
    passed: bool = Field(description="The verdict.")
    reason: str = Field("", description="The verdict in words.")


class TrainingRecord(Record):
    """How training went, from the Trainer's `history.json`."""

    epochs: tuple[dict[str, Number], ...] = Field((), description="`epoch`, `loss`, `val_loss`, ... of each epoch.")
    examples_per_second: Number = Field(None, description="Training examples a second.")
    collision_rates: dict[str, float] = Field(
        {}, description="By hashed feature: the share of train's distinct tokens that share their id with another."
    )


class TrialRecord(Record):
    """One trial of the search for hyperparameters."""

    values: dict[str, Any] = Field(description="By `model.<hyperparameter>` or `training.<key>`.")
    loss: Number = Field(description="The lowest eval loss of its epochs.")


class TuningRecord(Record):
    """What the Tuner tried; the first trial's values trained the model."""

    trials: tuple[TrialRecord, ...] = Field(description="The best first; trials that failed are left out.")


class ErrorRecord(Record):
    """What ended the run early."""

    kind: str = Field(description="Class of the error, for example `DataError`.")
    message: str = Field(description="Place, what was found, what was expected, remedy.")
    node: str | None = Field(None, description="The node that raised it; null: outside every node.")


class Summary(Record):
    """Everything a program needs to know about one run."""

    schema_version: Literal[1] = Field(1, description="Version of this schema.")
    run_id: str = Field(description="UTC start time, `YYYYmmdd-HHMMSS`; sorts by time.")
    name: str = Field(description="`name` of the configuration: of the pipeline and of the served model.")
    runner: str = Field(description="`local` or `beam`.")
    started_at: str = Field(description="ISO 8601, UTC.")
    seconds: float = Field(description="Wall seconds from start to record, imports included.")
    config: dict[str, Any] = Field(description="The whole validated configuration.")
    code_revision: str | None = Field(
        None, description="Git commit of the code, `-dirty` behind it where files were changed; null: not known."
    )
    source: str | None = Field(None, description="Where the interactions came from.")
    data: dict[str, SplitRecord] = Field(
        {}, description="By split: `train`, `eval`, `test`, `items` (the catalogue), `users` (state at the end)."
    )
    quarantined: int | None = Field(None, description="Input rows set aside as malformed.")
    leakage: LeakageRecord | None = Field(None, description="Null where no examples were written.")
    nodes: tuple[NodeRecord, ...] = Field((), description="All nodes, in an order in which each follows its inputs.")
    training: TrainingRecord | None = Field(None, description="Null where nothing was trained.")
    tuning: TuningRecord | None = Field(None, description="Null where no hyperparameters were searched.")
    metrics: tuple[MetricRecord, ...] = Field((), description="Empty where nothing was evaluated.")
    gate: tuple[GateRecord, ...] = Field((), description="Empty where nothing was evaluated.")
    blessed: bool | None = Field(None, description="The gate's verdict; null: it did not come to one.")
    infra_blessed: bool | None = Field(None, description="Whether the exported model loaded and answered; or null.")
    pushed_path: str | None = Field(None, description="Folder of the version that serves this candidate; or null.")
    version: int | None = Field(None, description="Its version; or null.")
    newly_pushed: bool = Field(False, description="False: that version was there before this run.")
    exit_code: int = Field(description="The command's: 0, 1, 2, 3, 4 or 5, as in `pipeline.py run --help`.")
    error: ErrorRecord | None = Field(None, description="Null where the run went through.")

    def node(self, name: str) -> NodeRecord | None:
        """Return the node of this name, or None."""
        return next((node for node in self.nodes if node.name == name), None)

    def metric(self, name: str, slice_name: str = "overall") -> MetricRecord | None:
        """Return one metric of one slice, or None."""
        return next((row for row in self.metrics if (row.name, row.slice) == (name, slice_name)), None)


def write(summary: Summary, path: Path) -> None:
    """Write the summary so that a reader sees the whole file or none."""
    write_atomically(path, summary.model_dump_json(indent=2) + "\n")


def read(path: Path) -> Summary:
    """Return a written summary.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no summary of this schema version.
    """
    return Summary.model_validate_json(path.read_bytes())


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that appears complete or not at all."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    with staged.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
