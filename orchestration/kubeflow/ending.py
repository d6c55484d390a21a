"""How a pod ends that failed: one line on its error stream and in its termination message, and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from orchestration.failure import find_error

# `kubectl describe pod` and the Job's status show what stands in this file, which kubelet puts there.
TERMINATION_MESSAGE = "/dev/termination-log"


def leave(step: str, error: BaseException) -> NoReturn:
    """End the process with the exit code of the project's own error inside `error`, 1 where there is none."""
    own = find_error(error)
    text = f"shortlist: {step}: {own or f'{type(error).__name__}: {error}'}"
    print(text, file=sys.stderr, flush=True)
    if os.access(TERMINATION_MESSAGE, os.W_OK):
        Path(TERMINATION_MESSAGE).write_text(text[:4000], encoding="utf-8")
    sys.exit(own.exit_code if own else 1)
