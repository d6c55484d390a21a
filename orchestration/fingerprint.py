"""The content of the code as a cache key: TFX sees a dotted path, not what stands behind it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent


@cache
def code_fingerprint(*rooms: str) -> str:
    """Return a hash of the Python files of some rooms: it changes when a file is edited, added, renamed or removed.

    Args:
      rooms: folders or files of the repository, for example `"models"`, `"models/layers"` or `"serving/servable.py"`.

    Returns:
      64 hexadecimal digits, the same on every machine and in whichever order the rooms are named.

    Raises:
      ValueError: a room holds no Python file.

    Example:
      >>> code_fingerprint("settings", "models") == code_fingerprint("models", "settings")
      True
    """
    return fingerprint_folders(_REPOSITORY, *rooms)


def fingerprint_folders(root: Path, *rooms: str) -> str:
    """Return the hash of the Python files of `rooms` below `root`; see `code_fingerprint`."""
    digest = hashlib.sha256()
    for room in sorted(set(rooms)):
        files = [root / room] if room.endswith(".py") else sorted((root / room).rglob("*.py"))
        if not files:
            raise ValueError(f"room should be a folder with Python files below {root}. Received: {room!r}")
        for file in files:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()
