"""Which hyperparameters are searched, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from settings.section import Section


class Choice(Section):
    """A hyperparameter that takes one of some values.

    Example:
      >>> Choice(values=(16, 32)).probes()
      (16, 32)
    """

    values: tuple[bool | int | float | str, ...] = Field(min_length=1, description="The values that are tried.")

    def probes(self) -> tuple[Any, ...]:
        """Return the values that have to be possible."""
        return self.values


class Between(Section):
    """A number of an interval, its ends included; a whole one where both ends are.

    Example:
      >>> Between(low=1e-4, high=1e-1, log=True).probes()
      (0.0001, 0.1)
    """

    low: int | float = Field(description="Smallest value that is tried.")
    high: int | float = Field(description="Largest value that is tried.")
    log: bool = Field(False, description="Every factor is equally likely, not every difference.")

    @model_validator(mode="after")
    def _possible(self) -> Between:
        if self.low >= self.high:
            raise ValueError(f"low should be less than high. Received: low: {self.low:g}, high: {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low should be above 0 where log is true. Received: {self.low:g}")
        return self

    def probes(self) -> tuple[Any, ...]:
        """Return the values that have to be possible."""
        return self.low, self.high


Range = Choice | Between
# By name of the hyperparameter.
SearchSpace = Mapping[str, Range]


class TuningSettings(Section):
    """A search for better hyperparameters before the training; the best values on the eval split train the model."""

    trials: int = Field(10, ge=1, description="Trainings to compare.")
    algorithm: Literal["random", "bayesian"] = Field("random", description="How the next values are chosen.")
    epochs: int | None = Field(None, ge=1, description="At most this many epochs a trial; empty: training.epochs.")
    parameters: dict[str, Range | None] = Field(
        {},
        description="What is searched: `model.<hyperparameter>` or `training.<key>`, with `values: [..]` or `low`, "
        "`high` and `log`, or with nothing for the range that the model declares. Empty: all that declare one.",
    )
    seed: int = Field(42, description="Of the choice of values.")
