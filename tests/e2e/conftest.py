"""A small slice of real data and the command line as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestration.command_line import main

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What one call of the command line left behind."""

    exit_code: int
    output: str
    summary: dict[str, Any] | None

    def node(self, name: str) -> dict[str, Any]:
        assert self.summary is not None, self.output
        return next(node for node in self.summary["nodes"] if node["name"] == name)

    def metric(self, name: str, slice_name: str = "overall") -> dict[str, Any]:
        assert self.summary is not None, self.output
        return next(row for row in self.summary["metrics"] if (row["slice"], row["name"]) == (slice_name, name))


def _newest_summary(words: Sequence[str]) -> dict[str, Any] | None:
    """Return the record of the newest run in the output root that the words name."""
    if "--output-root" not in words:
        return None
    root = Path(words[words.index("--output-root") + 1])
    found = sorted(root.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(found[-1].read_text()) if found else None


@pytest.fixture(scope="session")
def call() -> Callable[..., Outcome]:
    """Run `python pipeline.py ...` in a process of its own."""

    def run(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        done = subprocess.run(
            [sys.executable, "pipeline.py", *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=500
        )
        return Outcome(done.returncode, done.stdout + done.stderr, _newest_summary(words))

    return run


@pytest.fixture(scope="session")
def ask() -> Callable[..., Outcome]:
    """Run the command line in this process, where what it needs is imported once for all tests."""

    def run(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        done = CliRunner().invoke(main, words)
        return Outcome(done.exit_code, done.output, _newest_summary(words))

    return run


@pytest.fixture(scope="session")
def small_movielens(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ratings of MovieLens 100K's first 200 users, with its item and user files."""
    official, folder = real_data("ml-100k"), tmp_path_factory.mktemp("ml-100k")
    for name in ("u.item", "u.user"):
        (folder / name).write_bytes((official / name).read_bytes())
    rows = (official / "u.data").read_bytes().splitlines(keepends=True)
    (folder / "u.data").write_bytes(b"".join(row for row in rows if int(row.split(b"\t")[0]) <= 200))
    return folder
