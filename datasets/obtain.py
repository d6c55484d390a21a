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


def movielens_100k() -> Path:
    """Return a folder with MovieLens 100K, obtained on first use and kept under `data/`.

    In order: the folder of an earlier call; the package `recbole`, which ships the data, without its dependencies; the
    official archive. Both are checked against known hashes. The folder appears whole or not at all.

    Raises:
      DataError: neither source could be reached, with both reasons.
    """
    target = _ROOT / LOCAL
    if target.is_dir():
        return target
    reasons = []
    for obtain in (_from_package, _from_archive):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as staging:
            try:
                folder = obtain(Path(staging))
            except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, DataError) as error:
                reasons.append(f"{obtain.__name__.removeprefix('_from_')}: {error}")
                continue
            folder.rename(target)
            _log.info("MovieLens 100K was obtained from the %s", obtain.__name__.removeprefix("_from_"))
            return target
    raise DataError(
        "MovieLens 100K could not be obtained. " + "; ".join(reasons) + ". Unpack a copy and name it with --data-path"
    )


def _from_package(staging: Path) -> Path:
    """Install the package into the staging folder and keep its data files."""
    uv = shutil.which("uv") or str(_ROOT / ".tools" / "bin" / "uv")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(staging / "package"), _PACKAGE]
    subprocess.run([*command, "--python", sys.executable], check=True, capture_output=True, timeout=300, cwd=staging)
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
    try:
        with urllib.request.urlopen(_ARCHIVE, timeout=60) as answer:
            content = answer.read()
    except urllib.error.URLError as error:
        raise DataError(f"{_ARCHIVE} cannot be reached ({error.reason})") from None
    _check("ml-100k.zip", hashlib.md5(content, usedforsecurity=False).hexdigest(), _ARCHIVE_MD5)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(staging)
    return staging / "ml-100k"


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise DataError(f"{name} has checksum {found}, expected {expected}")
