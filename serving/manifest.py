"""What a served version is made of: every file with its SHA-256, and where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from serving.durable_files import file_sha256, list_files
from settings.errors import ShortlistError

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`.

    Attributes:
      version: the version's number; equals its folder's name.
      files: SHA-256 in hexadecimal by path relative to the folder, `/` between its parts; without the manifest itself.
      digest: one SHA-256 over `files`; equal digests are equal models.
      model_uri: the artifact that was pushed.
      pushed_at: UTC, ISO 8601.
      run_id: the run that pushed it.
      restored_from: for a rollback, the version that it brings back.
    """

    version: int
    files: Mapping[str, str]
    digest: str
    model_uri: str
    pushed_at: str
    run_id: str | None = None
    restored_from: int | None = None

    def to_json(self) -> str:
        """Return the text of the file; what is not known is left out."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(fields, indent=1, sort_keys=True) + "\n"


def digest(files: Mapping[str, str]) -> str:
    """Return one SHA-256 over names and hashes, whatever their order.

    Example:
      >>> digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"}) != digest({"a": "2", "b": "1"})
      True
    """
    return hashlib.sha256("".join(f"{files[name]}  {name}\n" for name in sorted(files)).encode()).hexdigest()


def read(folder: Path) -> Manifest:
    """Return the manifest of a version's folder.

    Raises:
      ShortlistError: there is none, or it is not one of ours.
    """
    path = folder / MANIFEST_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ShortlistError(
            f"{path}: is missing, so nothing tells what this version should hold. "
            "Expected the manifest of a Shortlist push; push the model again"
        ) from None
    except (OSError, ValueError) as error:
        raise ShortlistError(f"{path}: cannot be read as JSON ({error}). Push the model again, or roll back") from None
    manifest = _parse(fields)
    if manifest is None:
        raise ShortlistError(
            f"{path}: is not a Shortlist manifest. Expected version (integer), digest and files (path -> SHA-256). "
            f"Received: {str(fields)[:200]}"
        )
    for name in manifest.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ShortlistError(f"{path}: lists {name!r}, which lies outside of the version. Push the model again")
    return manifest


def check(folder: Path) -> Manifest:
    """Compare a version's folder with its manifest, byte for byte.

    A manifest is no signature: it shows damage and incomplete copies, and a change by whoever does not also rewrite it.

    Returns:
      the manifest.

    Raises:
      ShortlistError: a file is missing, changed or not listed; names it, the hash found and the hash expected.
    """
    manifest = read(folder)
    remedy = "Push the model again, or roll back"
    if str(manifest.version) != folder.name:
        raise ShortlistError(
            f"{folder / MANIFEST_FILE}: speaks of version {manifest.version}. Expected {folder.name}. {remedy}"
        )
    present = set(list_files(folder)) - {MANIFEST_FILE}
    for name in sorted(manifest.files.keys() - present):
        raise ShortlistError(f"{folder / name}: is missing. Expected SHA-256 {manifest.files[name]}. {remedy}")
    for name in sorted(present - manifest.files.keys()):
        raise ShortlistError(f"{folder / name}: is not listed in {MANIFEST_FILE}. Expected no such file. {remedy}")
    for name, expected in sorted(manifest.files.items()):
        found = file_sha256(folder / name)
        if found != expected:
            raise ShortlistError(
                f"{folder / name}: was changed. Found SHA-256 {found}. Expected SHA-256 {expected}. {remedy}"
            )
    if digest(manifest.files) != manifest.digest:
        raise ShortlistError(
            f"{folder / MANIFEST_FILE}: was changed. Found digest {manifest.digest}. "
            f"Expected {digest(manifest.files)} for its files. {remedy}"
        )
    return manifest


def _parse(fields: Any) -> Manifest | None:
    try:
        manifest = Manifest(**fields)
    except TypeError:
        return None
    numbers = (manifest.version, *(() if manifest.restored_from is None else (manifest.restored_from,)))
    sound = (
        all(type(number) is int for number in numbers)
        and isinstance(manifest.digest, str)
        and isinstance(manifest.files, dict)
        and all(isinstance(value, str) for value in manifest.files.values())
    )
    return manifest if sound else None
