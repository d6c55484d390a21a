"""Files that are on the disk when the call returns."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from settings.errors import ShortlistError

CHUNK_BYTES = 1 << 20

Step = Callable[[str], None]
"""Called with words after every change to the file system."""


def list_files(folder: Path) -> list[str]:
    """Return the relative paths of all files below a folder, sorted, `/` between their parts.

    Raises:
      ShortlistError: there is a symbolic link or anything else that is neither a file nor a folder: what a link points
        to may change after the push or lie outside of the folder.
    """
    files = []
    for place, folders, names in os.walk(folder, onerror=_raise):
        for name in (*folders, *names):
            path = Path(place, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise ShortlistError(
                    f"{path}: is a symbolic link to {os.readlink(path)}. Expected files and folders only; copy what it "
                    "points to in its place"
                )
            if stat.S_ISREG(mode):
                files.append(path.relative_to(folder).as_posix())
            elif not stat.S_ISDIR(mode):
                raise ShortlistError(f"{path}: is neither a file nor a folder. Expected files and folders only")
    return sorted(files)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_files(source: Path, files: Sequence[str], target: Path, step: Step) -> dict[str, str]:
    """Copy the named files into a new folder, and the folders of `source` even where empty; sync each file.

    The folders are not yet synced: see `sync_folders`.

    Returns:
      SHA-256 of the bytes that were copied, by file.
    """
    target.mkdir()
    step(f"made {target.name}")
    for place, folders, _ in os.walk(source):
        for name in sorted(folders):
            folder = target / Path(place, name).relative_to(source)
            folder.mkdir()
            step(f"made {folder.name}")
    return {name: _copy_file(source / name, target / name, step) for name in files}


def write_file(path: Path, text: str, step: Step) -> None:
    """Write a new file and sync it."""
    with path.open("x", encoding="utf-8") as file:
        step(f"made {path.name}")
        file.write(text)
        file.flush()
        step(f"wrote {path.name}")
        os.fsync(file.fileno())
    step(f"synced {path.name}")


def sync_folders(folder: Path, step: Step) -> None:
    """Sync the entries of a folder and of all folders below it, deepest first."""
    for place, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(place))
        step(f"synced {Path(place).name}")


def sync_folder(folder: Path) -> None:
    """Sync the entries of one folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_file(source: Path, target: Path, step: Step) -> str:
    """Copy one file and sync it; return the SHA-256 of its bytes."""
    sha256 = hashlib.sha256()
    # A link put in the file's place since the folder was listed is refused by the system.
    with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as reader, target.open("xb") as writer:
        step(f"made {target.name}")
        while chunk := reader.read(CHUNK_BYTES):
            sha256.update(chunk)
            writer.write(chunk)
            writer.flush()
            step(f"wrote {len(chunk)} bytes of {target.name}")
        os.fsync(writer.fileno())
    step(f"synced {target.name}")
    return sha256.hexdigest()


def _raise(error: OSError) -> None:
    """Let a folder that cannot be listed be an error, not an empty folder."""
    raise error
