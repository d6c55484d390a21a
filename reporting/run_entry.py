"""One line in the list of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from reporting.comparison import headline
from reporting.outcome import outcome
from reporting.summary import Summary

RunState = Literal["finished", "running", "interrupted", "unreadable"]


@dataclass(frozen=True)
class RunEntry:
    """A run; `summary` is None unless it is finished. `interrupted`: killed before it could write a summary."""

    run_id: str
    state: RunState
    summary: Summary | None

    def digest(self) -> dict[str, Any]:
        """Return what `status --json` prints of a run."""
        found: dict[str, Any] = {"run_id": self.run_id, "state": self.state}
        if self.summary is None:
            return found
        metric = headline(self.summary)
        row = self.summary.metric(metric) if metric else None
        return found | {
            "name": self.summary.name,
            "model": self.summary.config.get("model", {}).get("name"),
            "runner": self.summary.runner,
            "started_at": self.summary.started_at,
            "seconds": self.summary.seconds,
            "exit_code": self.summary.exit_code,
            "outcome": outcome(self.summary).title,
            "nodes": [node.model_dump(include={"name", "state", "seconds", "cached"}) for node in self.summary.nodes],
            "metric": None if row is None else {"name": row.name, "value": row.value, "popularity": row.popularity},
            "blessed": self.summary.blessed,
            "pushed_path": self.summary.pushed_path,
            "version": self.summary.version,
            "newly_pushed": self.summary.newly_pushed,
        }
