"""A push in a process of its own, ended at the n-th change to the file system.

python push_process.py MODEL ROOT KEEP KILL_AT     # KILL_AT 0: never
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from serving import version_store

KILLED = 77


def main() -> None:
    model, root, keep, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    steps: list[str] = []

    def end_here(step: str) -> None:
        steps.append(step)
        if len(steps) == kill_at:
            os._exit(KILLED)

    version = version_store.push(model, root, keep, on_step=end_here)
    print(json.dumps({"number": version.number, "created": version.created, "steps": steps}))


if __name__ == "__main__":
    main()
