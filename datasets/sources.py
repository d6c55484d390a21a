"""From the `data.source` section to interactions."""

from __future__ import annotations

import hashlib
from pathlib import Path

from datasets.interactions import Interactions
from datasets.movielens import read_1m, read_100k, read_csv_release
from datasets.obtain import movielens_100k
from datasets.own_tables import read_tables
from settings.data import DataSettings, MovieLensSource, Source
from settings.errors import DataError

_MOVIELENS = {
    "movielens_100k": read_100k,
    "movielens_1m": read_1m,
    "movielens_latest_small": read_csv_release,
    "movielens_25m": read_csv_release,
}


def read(source: Source) -> Interactions:
    """Read a source.

    Raises:
      DataError: naming file and line of what is missing or damaged.
    """
    if isinstance(source, MovieLensSource):
        return _MOVIELENS[source.kind](_folder(source))
    return read_tables(source)


def fingerprint(settings: DataSettings) -> str:
    """Return a hash of everything that decides the examples: settings, content of the input files, and this code.

    File times play no part: a file rewritten in the same second with the same size is noticed.

    Raises:
      DataError: an input is missing.
    """
    digest = hashlib.sha256(settings.model_dump_json().encode())
    here = Path(__file__).resolve().parent
    code = [*sorted(here.glob("*.py")), here.parent / "components" / "example_gen.py"]
    for path in [*input_files(settings.source), *code]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def input_files(source: Source) -> list[Path]:
    """Return the files that a source is read from, all of them there.

    Raises:
      DataError: naming the one that is not.
    """
    if isinstance(source, MovieLensSource):
        return sorted(path for path in _folder(source).iterdir() if path.is_file())
    named = [source.path, source.users_path, source.items_path]
    files = [Path(name).expanduser() for name in named if name is not None]
    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: is no file. Check data.source, or give --data-path")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: is empty. Expected at least one row")
    return files


def _folder(source: MovieLensSource) -> Path:
    if source.path is None and source.kind == "movielens_100k":
        return movielens_100k()
    folder = Path(source.path or f"data/{source.kind}").expanduser()
    if not folder.is_dir():
        raise DataError(
            f"{folder}: is no folder. Expected the unpacked {source.kind} release; name it with --data-path or "
            "data.source.path"
        )
    return folder
