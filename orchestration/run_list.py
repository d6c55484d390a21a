"""Finds the runs of an output root, also those that left no summary."""

from __future__ import annotations

from pathlib import Path

from orchestration.output_root import OutputRoot
from reporting import summary as summaries
from reporting.run_entry import RunEntry


def list_runs(output_root: Path) -> list[RunEntry]:
    """Return all runs, newest first."""
    root = OutputRoot(output_root)
    if not root.runs.is_dir():
        return []
    running = root.running()
    folders = sorted((path for path in root.runs.iterdir() if path.is_dir()), key=_age, reverse=True)
    return [_entry(folder, running) for folder in folders]


def _entry(folder: Path, running: str | None) -> RunEntry:
    try:
        summary = summaries.read(folder / "summary.json")
    except FileNotFoundError:
        return RunEntry(folder.name, "running" if folder.name == running else "interrupted", None)
    except (OSError, ValueError):
        return RunEntry(folder.name, "unreadable", None)
    return RunEntry(folder.name, "finished", summary)


def _age(folder: Path) -> tuple[str, int]:
    """Sort by time, then by the number that tells runs of one second apart."""
    base, _, number = folder.name.rpartition("-")
    return (folder.name, 1) if folder.name.count("-") < 2 or not number.isdigit() else (base, int(number))
