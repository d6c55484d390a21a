"""Kills the push at random changes to the file system; counts half versions that a server could have seen.

python -m benchmarks.push_kill --kills 100
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path

from benchmarks.measurement import record
from serving.version_store import push, verify, versions
from settings.errors import ShortlistError

FILES = {
    "saved_model.pb": 1_500_000,
    "fingerprint.pb": 80,
    "variables/variables.index": 2_000,
    "variables/variables.data-00000-of-00001": 3_500_000,
    "assets/item_id": 12_000,
    "assets/user_id": 6_000,
}
KEEP = 3
KILLED = 77


def write_model(folder: Path, generator: random.Random) -> None:
    """Write files of a SavedModel's names and sizes, with new content."""
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(size))


def push_killed_at(model: Path, root: Path, kill_at: int) -> tuple[int, bool]:
    """Push in a forked process that ends at a step, 0: never; return the steps taken, and whether it ended there."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        steps = 0

        def count(step: str) -> None:
            nonlocal steps
            steps += 1
            os.write(writable, b".")
            if steps == kill_at:
                os._exit(KILLED)

        push(model, root, KEEP, on_step=count)
        os._exit(0)
    os.close(writable)
    with open(readable, "rb") as pipe:
        steps = len(pipe.read())
    _, status = os.waitpid(child, 0)
    return steps, os.waitstatus_to_exitcode(status) == KILLED


def half_versions(root: Path) -> int:
    """Count the folders that a server would load and that are not what was pushed."""
    bad = 0
    for version in versions(root):
        try:
            verify(version)
        except ShortlistError:
            bad += 1
    return bad


def main() -> None:
    """Kill, look, push again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    kills = half = recovered = 0
    with tempfile.TemporaryDirectory() as folder:
        root, model = Path(folder, "serving"), Path(folder, "model")
        for _ in range(KEEP + 1):
            write_model(model, generator)
            steps, _ = push_killed_at(model, root, 0)
        for _ in range(options.kills):
            write_model(model, generator)
            _, killed = push_killed_at(model, root, generator.randint(1, steps))
            kills += killed
            half += half_versions(root)
            before = versions(root)[-1].number
            pushed = push(model, root, KEEP)
            half += half_versions(root)
            complete = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
            recovered += (
                pushed.number >= before
                and verify(pushed).files.keys() == complete
                and all((pushed.path / name).read_bytes() == (model / name).read_bytes() for name in complete)
                and not list(root.glob(".staging-*"))
            )
    record(
        "push_kill",
        {
            "seed": options.seed,
            "steps_in_a_push": steps,
            "kills": kills,
            "half_versions_visible": half,
            "pushes_recovered": recovered,
        },
    )


if __name__ == "__main__":
    main()
