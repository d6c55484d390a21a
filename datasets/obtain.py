"""MovieLens 100K without an account: a package that ships it, or the official archive."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from settings.errors import DataError

_log = logging.getLogger("shortlist")
LOCAL = Path("data") / "ml-100k"
_PACKAGE = "recbole==1.2.1"
_PACKAGE_FILES = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
_ARCHIVE = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_ARCHIVE_MD5 = "0e33842e24a9c977be4e0107933c0723"  # as published beside the archive
_ROOT = Path(__file__).resolve().parent.parent
_REMEDY = "Unpack a copy and name its folder with --data-path"


def movielens_100k() -> Path:
    """Return a folder with MovieLens 100K, obtained on first use and kept under `data/`.

    In order: the folder of an earlier call; the package `recbole`, which ships the data, without its dependencies; the
    official archive. Both are checked against known hashes. The folder appears whole or not at all, also when several
    processes ask at once.

    Raises:
      DataError: neither source could be reached, with both reasons.
    """
    target = _ROOT / LOCAL
    if target.is_dir():
        return target
    reasons = []
    sources = {f"package {_PACKAGE}": _from_package, f"official archive {_ARCHIVE}": _from_archive}
    for name, obtain in sources.items():
        try:
            _keep(obtain, target)
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, DataError) as error:
            reasons.append(f"{name}: {_reason(error)}")
            continue
        _log.info("MovieLens 100K was obtained from the %s and is kept in %s", name, target)
        return target
    raise DataError(f"MovieLens 100K could not be obtained. {'; '.join(reasons)}. {_REMEDY}")


def _keep(obtain: Callable[[Path], Path], target: Path) -> None:
    """Obtain the folder beside its place and move it there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".staging-") as staging:
        folder = obtain(Path(staging))
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same checked files
                raise


def _from_package(staging: Path) -> Path:
    """Install the package into the staging folder and keep its data files."""
    options = ["--quiet", "--no-deps", "--target", str(staging / "package"), _PACKAGE]
    pinned = _ROOT / ".tools" / "bin" / "uv"
    uv = str(pinned) if pinned.exists() else shutil.which("uv")
    if uv is not None:
        command = [uv, "pip", "install", "--python", sys.executable, *options]
    else:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, cwd=staging)
    shipped = staging / "package" / "recbole" / "dataset_example" / "ml-100k"
    folder = staging / "ml-100k"
    folder.mkdir()
    for name, expected in _PACKAGE_FILES.items():
        content = (shipped / name).read_bytes()
        _check(name, hashlib.sha256(content).hexdigest(), expected)
        (folder / name).write_bytes(content)
    return folder


def _from_archive(staging: Path) -> Path:
    """Download and unpack the official archive."""
    with urllib.request.urlopen(_ARCHIVE, timeout=60) as answer:
        content = answer.read()
    _check("ml-100k.zip", hashlib.md5(content, usedforsecurity=False).hexdigest(), _ARCHIVE_MD5)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(staging)
    return staging / "ml-100k"


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise DataError(f"{name} has checksum {found}, expected {expected}")


def _reason(error: Exception) -> str:
    """Return why a source failed, in one line."""
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or "").strip().splitlines()
        return said[-1].strip() if said else f"the installer ended with status {error.returncode}"
    if isinstance(error, urllib.error.URLError):
        return f"cannot be reached ({error.reason})"
    return str(error)
