"""A small slice of real data and the command line as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestration.command_line import main

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What one call of the command line left behind."""

    exit_code: int
    text: str
    summary: dict[str, Any] | None

    def node(self, name: str) -> dict[str, Any]:
        assert self.summary is not None, self.text
        return next(node for node in self.summary["nodes"] if node["name"] == name)

    def metric(self, name: str, slice_name: str = "overall") -> dict[str, Any]:
        assert self.summary is not None, self.text
        return next(row for row in self.summary["metrics"] if (row["slice"], row["name"]) == (slice_name, name))


@pytest.fixture(scope="session")
def call() -> Callable[..., Outcome]:
    """Run `python pipeline.py ...` in a process of its own; the summary is the newest of its output root."""

    def run(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        done = subprocess.run(
            [sys.executable, "pipeline.py", *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=500
        )
        summary = None
        if "--output-root" in words:
            root = Path(words[words.index("--output-root") + 1])
            found = sorted(root.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
            summary = json.loads(found[-1].read_text()) if found else None
        return Outcome(done.returncode, done.stdout + done.stderr, summary)

    return run


@pytest.fixture
def ask() -> Callable[..., Result]:
    """Run the command line in this process, where what it needs is imported once for all tests."""
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def small_movielens(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ratings of MovieLens 100K's first 200 users, with its item and user files."""
    official, folder = real_data("ml-100k"), tmp_path_factory.mktemp("ml-100k")
    for name in ("u.item", "u.user"):
        (folder / name).write_bytes((official / name).read_bytes())
    rows = (official / "u.data").read_bytes().splitlines(keepends=True)
    (folder / "u.data").write_bytes(b"".join(row for row in rows if int(row.split(b"\t")[0]) <= 200))
    return folder
