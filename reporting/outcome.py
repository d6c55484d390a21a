"""The run in one sentence, and the command to type next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reporting.summary import GateRecord, Summary


@dataclass(frozen=True)
class Outcome:
    """Title and sentence; `tone` decides mark and colour."""

    tone: Literal["good", "warning", "bad"]
    title: str
    sentence: str


def outcome(summary: Summary) -> Outcome:
    """Return what a run amounts to."""
    if summary.error is not None:
        where = f"{summary.error.node} failed" if summary.error.node else "The run failed"
        titles = {2: "Bad configuration or input", 3: "Data anomalies", 5: "Infra validation failed"}
        return Outcome("bad", titles.get(summary.exit_code, "Failed"), f"{where}: {summary.error.message}")
    if summary.blessed is False:
        return Outcome("bad", "Not blessed", f"{failed_checks(summary)} The version that serves now stays.")
    if summary.infra_blessed is False:
        return Outcome("bad", "Infra validation failed", "The exported model does not load or does not answer.")
    if summary.version is None:
        last = next((node.name for node in reversed(summary.nodes) if node.state in ("complete", "cached")), "no node")
        return Outcome("warning", "Partial run", f"It ended with {last}; nothing was to be pushed.")
    if summary.newly_pushed:
        return Outcome("good", f"Pushed version {summary.version}", "The gate blessed it, and it loads and answers.")
    return Outcome(
        "good", f"Unchanged, version {summary.version} serves", "This very model was pushed before; nothing was copied."
    )


def failed_checks(summary: Summary) -> str:
    """Return the reasons of the failed checks of the gate."""
    reasons = [describe_check(row) for row in summary.gate if not row.passed]
    return "; ".join(reasons) + "." if reasons else "The gate gave no reason."


def describe_check(row: GateRecord) -> str:
    """Return a check of the gate in words."""
    where = "" if row.slice == "overall" else f" on {row.slice}"
    return f"{row.name}{where}: {row.reason}".rstrip(".") if row.reason else f"{row.name}{where}"


def next_command(summary: Summary, output_root: str, replay: str = "") -> tuple[str, str]:
    """Return why and what to type next.

    Args:
      summary: the run.
      output_root: as the user wrote it.
      replay: options that reach the same configuration.
    """
    root = "" if output_root == "output" else f" --output-root {output_root}"
    log = f"{output_root}/runs/{summary.run_id}/log.txt"
    if summary.exit_code == 0 and summary.version is not None:
        return "Ask the pushed model", f"python pipeline.py recommend --user USER --k 10{root}"
    if summary.exit_code == 0:
        return "Go on to the end", f"python pipeline.py run{replay}{root}"
    if summary.exit_code == 4:
        return "Try other settings", f"python pipeline.py run{replay}{root} --set training.epochs=30"
    if summary.exit_code == 2:
        return "Correct it, then check before running", f"python pipeline.py validate{replay}"
    return "Read what happened", f"less {log}"
