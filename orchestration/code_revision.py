"""Which code a run was made with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
# Set in the image, which has no repository.
VARIABLE = "SHORTLIST_CODE_REVISION"


def code_revision() -> str | None:
    """Return the Git commit, `-dirty` behind it where tracked files were changed; None where nothing tells."""
    told = os.environ.get(VARIABLE)
    if told:
        return told
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(_REPOSITORY), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
