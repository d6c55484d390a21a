"""What happens while a run goes on, as the progress display and the run record hear of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["running", "complete", "cached", "failed"]


@dataclass(frozen=True)
class NodeEvent:
    """A node entered a state; `seconds` is the wall time since it started."""

    node: str
    state: State
    seconds: float = 0.0
    error: BaseException | None = None


@dataclass(frozen=True)
class TrainingProgress:
    """Where training stands. Counts start at 1; `loss` is the running mean of the epoch; `trial` 0: none."""

    epoch: int
    epochs: int
    step: int = 0
    steps: int = 0
    loss: float | None = None
    trial: int = 0
    trials: int = 0


Listener = Callable[[NodeEvent], None]
