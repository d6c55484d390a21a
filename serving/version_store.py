"""The versions of a served model: pushed whole or not at all, numbered upwards, and taken back.

<root>/<version>/{saved_model.pb, ..., manifest.json}    what a model server may load
       .staging-*                                        what is being written or removed; no server looks at it
       .lock                                             held by the one process that writes

A version is copied into a staging folder, every file and folder of it is synced to the disk, and one rename makes it
visible. So whatever instant the process or the machine stops at, a version is there complete or not at all, and the
next push clears what was left.
"""

from __future__ import annotations

import datetime
import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from serving import manifest as manifests
from serving.durable_files import Step, copy_files, file_sha256, list_files, sync_folder, sync_folders, write_file
from serving.manifest import MANIFEST_FILE, Manifest
from settings.errors import ShortlistError

SAVED_MODEL_FILE = "saved_model.pb"
STAGING = ".staging-"
LOCK_FILE = ".lock"
LARGEST_VERSION = 2**63 - 1  # TF Serving reads a version as int64

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Content:
    """What a new version is made from; `hashes` where it is known what they must be."""

    folder: Path
    files: Sequence[str]
    model_uri: str
    run_id: str | None
    restored_from: int | None = None
    hashes: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Version:
    """A folder that a model server may load.

    Attributes:
      number: greater is newer.
      path: the folder.
      created: whether the call that returned it made it.
    """

    number: int
    path: Path
    created: bool = False

    def manifest(self) -> Manifest:
        """Read `manifest.json`.

        Raises:
          ShortlistError: there is none, or it is damaged.
        """
        return manifests.read(self.path)


def push(
    model_dir: str | Path,
    root: str | Path,
    keep: int = 5,
    *,
    model_uri: str | None = None,
    run_id: str | None = None,
    clock: Callable[[], float] = time.time,
    lock_timeout_seconds: float = 600.0,
    on_step: Step | None = None,
) -> Version:
    """Make a model the newest version, unless the newest version already is this model.

    The number is the time in seconds, or one more than the greatest number there, whichever is larger: so it grows
    under any clock. Processes that push at once go one after the other. Older versions beyond `keep` are removed,
    folders without a manifest never: they are somebody else's.

    Args:
      model_dir: folder of a SavedModel. Only read.
      root: folder of the versions; made where absent. Must be on a file system with atomic rename, not an object store.
      keep: number of versions that stay, the new one included.
      model_uri: where the model came from, for the manifest; default: `model_dir`.
      run_id: the run that pushes, for the manifest.
      clock: seconds since 1970.
      lock_timeout_seconds: how long to wait for other writers.
      on_step: called after every change to the file system; tests end the process there.

    Returns:
      the newest version; `created` is False where it already was this model.

    Raises:
      ShortlistError: `model_dir` is no SavedModel or holds links; `root` cannot be written; another process kept
        writing. The versions that were there stay.
    """
    if keep < 1:
        raise ShortlistError(f"keep: should be at least 1. Received: {keep}")
    store, source = _root(root), _local(model_dir)
    with _explained(source, "cannot be read"):
        files = _model_files(source, store)
    step = on_step or _ignore
    with _writing(store, lock_timeout_seconds, step):
        newest = latest(store)
        if newest is not None and _holds(newest, source, files):
            return newest
        content = _Content(source, files, str(model_uri or model_dir), run_id)
        version = _publish(store, content, clock, step)
        _prune(store, keep, step)
    return version


def rollback(
    root: str | Path,
    *,
    run_id: str | None = None,
    clock: Callable[[], float] = time.time,
    lock_timeout_seconds: float = 600.0,
    on_step: Step | None = None,
) -> Version:
    """Make the previous good version the newest again, under a new number.

    Good: its files are those of its manifest, and it is another model than the newest. A second rollback goes one
    further back, as undo does. Nothing is removed; the newest version may be damaged.

    Args:
      root: folder of the versions.
      run_id: for the manifest.
      clock: seconds since 1970.
      lock_timeout_seconds: how long to wait for other writers.
      on_step: called after every change to the file system.

    Raises:
      ShortlistError: there is no earlier good version; `root` cannot be written. The versions that were there stay.
    """
    store, step = _root(root), on_step or _ignore
    if latest(store) is None:
        raise ShortlistError(f"{store}: has no version to roll back from. Push a model first")
    with _writing(store, lock_timeout_seconds, step):
        earlier = _previous_good(store)
        manifest = earlier.manifest()
        content = _Content(
            folder=earlier.path,
            files=sorted(manifest.files),
            model_uri=manifest.model_uri,
            run_id=run_id,
            restored_from=manifest.restored_from or earlier.number,
            hashes=manifest.files,
        )
        return _publish(store, content, clock, step)


def copy(version: Version, root: str | Path, *, lock_timeout_seconds: float = 600.0) -> Version:
    """Return a copy of a good version in a root of its own, under the same number where it is the first; made once.

    Args:
      version: of another root.
      root: folder of the copy; made where absent.
      lock_timeout_seconds: how long to wait for other writers.

    Raises:
      ShortlistError: the version is damaged, or `root` cannot be written.
    """
    store, manifest = _root(root), verify(version)
    with _writing(store, lock_timeout_seconds, _ignore):
        newest = latest(store)
        if newest is not None and verify(newest).digest == manifest.digest:
            return newest
        files = sorted(manifest.files)
        content = _Content(version.path, files, manifest.model_uri, manifest.run_id, hashes=manifest.files)
        return _publish(store, content, lambda: version.number, _ignore)


def versions(root: str | Path) -> list[Version]:
    """Return what a model server sees: the folders named by a number, oldest first; none where there is no root."""
    store = _root(root)
    with _explained(store, "cannot be read"):
        if not store.is_dir():
            return []
        found = [path for path in store.iterdir() if _is_version(path.name) and path.is_dir() and not path.is_symlink()]
    return [Version(int(path.name), path) for path in sorted(found, key=lambda path: int(path.name))]


def latest(root: str | Path) -> Version | None:
    """Return the newest version; None where there is none."""
    found = versions(root)
    return found[-1] if found else None


def verify(version: Version) -> Manifest:
    """Check every file of a version against its manifest; to be called before a version is loaded.

    Returns:
      the manifest.

    Raises:
      ShortlistError: a file is missing, changed or not listed; names it, the hash found and the hash expected.
    """
    with _explained(version.path, "cannot be read"):
        return manifests.check(version.path)


def _publish(root: Path, content: _Content, clock: Callable[[], float], step: Step) -> Version:
    """Copy, sync, rename."""
    now = clock()
    number = max(_greatest_number(root) + 1, int(now))
    if number > LARGEST_VERSION:
        raise ShortlistError(f"{root}: holds version {number - 1}, the greatest there can be. Remove that folder")
    staging, target = root / f"{STAGING}{number}", root / str(number)
    try:
        hashes = copy_files(content.folder, content.files, staging, step)
        if content.hashes is not None and hashes != content.hashes:
            raise ShortlistError(f"{content.folder}: changed while it was copied. Nothing was pushed; try again")
        manifest = Manifest(
            version=number,
            files=hashes,
            digest=manifests.digest(hashes),
            model_uri=content.model_uri,
            pushed_at=datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(timespec="seconds"),
            run_id=content.run_id,
            restored_from=content.restored_from,
        )
        write_file(staging / MANIFEST_FILE, manifest.to_json(), step)
        sync_folders(staging, step)
        os.rename(staging, target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    step(f"renamed to {number}")
    sync_folder(root)
    step("synced the root")
    return Version(number, target, created=True)


def _previous_good(root: Path) -> Version:
    """Return the version that a rollback brings back."""
    *older, newest = versions(root)
    origin, digest = newest.number, None
    try:
        origin = newest.manifest().restored_from or newest.number
        digest = verify(newest).digest
    except ShortlistError as error:
        _log.warning("The newest version is damaged: %s", error)
    passed_over = []
    for version in reversed(older):
        # Where the newest version is a damaged copy, its original is good enough.
        if version.number > origin or (version.number == origin and digest is not None):
            continue
        try:
            if verify(version).digest != digest:
                return version
            passed_over.append(f"{version.number} is the same model")
        except ShortlistError as error:
            passed_over.append(str(error))
            _log.warning("Version %d is passed over: %s", version.number, error)
    raise ShortlistError(
        f"{root}: has no good version before {origin} to roll back to"
        + (f" ({'; '.join(passed_over)})" if passed_over else "")
        + ". Push an earlier model again; push.keep decides how many versions are kept"
    )


def _prune(root: Path, keep: int, step: Step) -> None:
    """Remove the oldest versions; the push stands even where this fails."""
    ours = [version for version in versions(root) if (version.path / MANIFEST_FILE).is_file()]
    for version in ours[:-keep]:
        try:
            # Out of the servers' sight as a whole, before the first file goes.
            removed = version.path.rename(root / f"{STAGING}removed-{version.number}")
            step(f"hid {version.number}")
            sync_folder(root)
            _remove(removed, step)
        except OSError as error:
            _log.warning("Old version %s could not be removed: %s. The next push tries again.", version.path, error)


def _remove(folder: Path, step: Step) -> None:
    """Remove a staging folder, one step a file."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            os.unlink(os.path.join(place, name))
            step(f"removed {name}")
        os.rmdir(place)
        step(f"removed {os.path.basename(place)}")


@contextmanager
def _writing(root: Path, timeout_seconds: float, step: Step) -> Iterator[None]:
    """Hold the root's lock; what an interrupted writer left is cleared first."""
    with _explained(root, "the push failed"):
        _make_root(root, step)
        lock = FileLock(root / LOCK_FILE, timeout=timeout_seconds)
        try:
            lock.acquire()
        except Timeout:
            raise ShortlistError(
                f"{root}: another push has been writing here for {timeout_seconds:g} s. Nothing was pushed; "
                "wait for it to end and push again"
            ) from None
        try:
            for leftover in sorted(root.glob(f"{STAGING}*")):
                _log.info("Clearing %s, left by an interrupted push.", leftover)
                _clear(leftover)
                step(f"cleared {leftover.name}")
            sync_folder(root)  # A rename that a crash left unsynced.
            yield
        finally:
            lock.release()


def _clear(leftover: Path) -> None:
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover)
    else:
        leftover.unlink()


def _make_root(root: Path, step: Step) -> None:
    """Make the root and its parents, and sync their entries."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    root.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)
    if missing:
        step("made the root")


@contextmanager
def _explained(place: Path, problem: str) -> Iterator[None]:
    """Tell an operating system's error as ours."""
    try:
        yield
    except OSError as error:
        where = error.filename or place
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise ShortlistError(
            f"{place}: {problem} ({where}: {reason}). Check that it is a folder with the needed rights and space; "
            "the versions that were served stay"
        ) from error


def _model_files(source: Path, root: Path) -> list[str]:
    """Return the files of a SavedModel that may be pushed."""
    if not (source / SAVED_MODEL_FILE).is_file():
        raise ShortlistError(f"{source}: is no SavedModel. Expected a folder with {SAVED_MODEL_FILE}")
    inner, outer = source.resolve(), root.resolve()
    if inner == outer or inner in outer.parents:
        raise ShortlistError(f"{root}: lies inside of the model {source}. Expected a folder of its own")
    files = list_files(source)
    if MANIFEST_FILE in files:
        raise ShortlistError(
            f"{source / MANIFEST_FILE}: has the name that a push writes itself. Expected a SavedModel as it was "
            "exported, not a version that was pushed before (see rollback)"
        )
    return files


def _holds(version: Version, source: Path, files: list[str]) -> bool:
    """Return whether a version is this model, and undamaged."""
    try:
        manifest = version.manifest()
        if sorted(manifest.files) != files:
            return False
        wanted = manifests.digest({name: file_sha256(source / name) for name in files})
        return manifest.digest == wanted == verify(version).digest
    except ShortlistError as error:
        _log.warning("The newest version is damaged, and the model is pushed anew: %s", error)
        return False


def _root(root: str | Path) -> Path:
    path = _local(root)
    if path.exists() and not path.is_dir():
        raise ShortlistError(f"{path}: is a file. Expected the folder of the served versions")
    return path


def _local(path: str | Path) -> Path:
    if re.match(r"[a-z0-9]+:/", str(path)):
        raise ShortlistError(
            f"{path}: is not on a file system. Expected a local or mounted folder: an object store has no atomic rename"
        )
    return Path(path)


def _is_version(name: str) -> bool:
    """Return whether a name is a number as a push writes it.

    Example:
      >>> [name for name in ("7", "0", "07", "-7", "7.0", ".staging-7", "٧", "9" * 19) if _is_version(name)]
      ['7', '0']
    """
    return re.fullmatch(r"0|[1-9][0-9]*", name) is not None and int(name) <= LARGEST_VERSION


def _greatest_number(root: Path) -> int:
    """Return the greatest number that any entry is named by, also one that is no version of ours; 0 where none is."""
    numbers = [int(path.name) for path in root.iterdir() if re.fullmatch(r"[0-9]+", path.name)]
    return max((number for number in numbers if number <= LARGEST_VERSION), default=0)


def _ignore(step: str) -> None:
    """Do nothing after a step."""
