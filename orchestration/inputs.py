"""Looks at the input before any framework is loaded, so that a wrong path or a damaged line is answered at once."""

from __future__ import annotations

from pathlib import Path

from settings.config import Config
from settings.data import TableSource
from settings.errors import DataError

# Read in about a second.
_READ_AT_ONCE_BYTES = 64_000_000


def check_inputs(config: Config) -> None:
    """Refuse a configuration whose input files are not there, or, where they are small, hold a damaged row.

    Larger inputs are read once, by the pipeline.

    Raises:
      DataError: with the key, the path, and what was expected there.
    """
    source = config.data.source
    if source.path is not None:
        if isinstance(source, TableSource):
            _check_file("data.source.path", source.path)
        elif not Path(source.path).expanduser().is_dir():
            raise _missing("data.source.path", source.path, "the folder of the release")
    if isinstance(source, TableSource):
        for key in ("users_path", "items_path"):
            if (path := getattr(source, key)) is not None:
                _check_file(f"data.source.{key}", path)
    if config.data.schema_path is not None:
        _check_file("data.schema_path", config.data.schema_path)
    from datasets.sources import input_files, read

    if sum(path.stat().st_size for path in input_files(source)) <= _READ_AT_ONCE_BYTES:
        read(source)


def _check_file(key: str, path: str) -> None:
    file = Path(path).expanduser()
    if not file.is_file():
        raise _missing(key, path, "a file")
    if file.stat().st_size == 0:
        raise DataError(f"{key}: {path} is empty. Expected at least one row of data; was its export cut short?")


def _missing(key: str, path: str, expected: str) -> DataError:
    found = "is a folder" if Path(path).expanduser().is_dir() else "does not exist"
    if Path(path).expanduser().is_file():
        found = "is a file"
    remedy = "Give the right one with --data-path" if key == "data.source.path" else f"Correct it, or --set {key}=..."
    return DataError(f"{key}: {path} {found}. Expected {expected}. {remedy}")
