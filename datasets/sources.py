"""From the `data.source` section to interactions."""

from __future__ import annotations

import hashlib
from pathlib import Path

from datasets.ad_logs import avazu_file, criteo_files, read_avazu, read_criteo
from datasets.interactions import Interactions
from datasets.movielens import read_1m, read_100k, read_csv_release
from datasets.obtain import movielens_100k
from datasets.own_tables import read_tables
from datasets.quarantine import Quarantine
from settings.data import AdLogSource, DataSettings, MovieLensSource, Source
from settings.errors import DataError

_MOVIELENS = {
    "movielens_100k": read_100k,
    "movielens_1m": read_1m,
    "movielens_latest_small": read_csv_release,
    "movielens_25m": read_csv_release,
}


def read(source: Source, quarantine: Quarantine | None = None) -> Interactions:
    """Read a source.

    Args:
      source: which.
      quarantine: says which rows are malformed, and keeps them.

    Raises:
      DataError: naming file and line of what is missing or damaged.
    """
    quarantine = quarantine or Quarantine()
    if isinstance(source, MovieLensSource):
        return _MOVIELENS[source.kind](_folder(source), quarantine)
    if isinstance(source, AdLogSource):
        reader = read_criteo if source.kind == "criteo" else read_avazu
        return reader(Path(source.path).expanduser(), quarantine)
    return read_tables(source, quarantine)


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
    if isinstance(source, AdLogSource):
        path = Path(source.path).expanduser()
        return criteo_files(path) if source.kind == "criteo" else [avazu_file(path)]
    files = []
    for key in ("path", "users_path", "items_path"):
        if (name := getattr(source, key)) is None:
            continue
        path = Path(name).expanduser()
        remedy = "Give the right one with --data-path" if key == "path" else f"--set data.source.{key}=..."
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "does not exist"
            raise DataError(f"data.source.{key}: {path} {found}. Expected a file. {remedy}")
        if path.stat().st_size == 0:
            raise DataError(
                f"data.source.{key}: {path} is empty. Expected at least one row; was its export cut short? {remedy}"
            )
        files.append(path)
    return files


def _folder(source: MovieLensSource) -> Path:
    if source.path is None and source.kind == "movielens_100k":
        return movielens_100k()
    folder = Path(source.path or f"data/{source.kind}").expanduser()
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"data.source.path: {folder} {found}. Expected the folder of the unpacked {source.kind} release; "
            "name it with --data-path"
        )
    return folder
