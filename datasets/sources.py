"""From the `data.source` section to interactions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from datasets.ad_logs import avazu_file, criteo_files, read_avazu, read_criteo
from datasets.interactions import Interactions
from datasets.mind import read_mind
from datasets.movielens import read_1m, read_100k, read_csv_release
from datasets.obtain import movielens_100k
from datasets.open_bandit import open_bandit_files, read_open_bandit
from datasets.own_tables import read_tables
from datasets.quarantine import Quarantine
from datasets.service_logs import log_files, read_service_logs
from datasets.spans import SPAN, chosen, resolve
from settings.data import (
    AdLogSource,
    DataSettings,
    MindSource,
    MovieLensSource,
    OpenBanditSource,
    ServiceLogsSource,
    Source,
    TableSource,
)
from settings.errors import DataError

_MOVIELENS = {
    "movielens_100k": read_100k,
    "movielens_1m": read_1m,
    "movielens_latest_small": read_csv_release,
    "movielens_25m": read_csv_release,
}


def read(source: Source, quarantine: Quarantine | None = None, beam_args: Sequence[str] = ()) -> Interactions:
    """Read a source.

    Args:
      source: which.
      quarantine: says which rows are malformed, and keeps them.
      beam_args: how Beam runs, for a source that needs it.

    Raises:
      DataError: naming file and line of what is missing or damaged.
    """
    quarantine = quarantine or Quarantine()
    if isinstance(source, MovieLensSource):
        return _MOVIELENS[source.kind](_folder(source), quarantine)
    if isinstance(source, AdLogSource):
        reader = read_criteo if source.kind == "criteo" else read_avazu
        return reader(Path(source.path).expanduser(), quarantine)
    if isinstance(source, ServiceLogsSource):
        return read_service_logs(source, quarantine, beam_args)
    if isinstance(source, MindSource):
        return read_mind(Path(source.path).expanduser(), source.examples, quarantine)
    if isinstance(source, OpenBanditSource):
        return read_open_bandit(source, quarantine)
    if SPAN not in source.path:
        return read_tables(source, quarantine)
    return _read_spans(source, quarantine)


def fingerprint(settings: DataSettings) -> str:
    """Return a hash of everything that decides the examples: settings, content of the input files, and this code.

    File times play no part: a file rewritten in the same second with the same size is noticed. The names of the spans
    that are read do.

    Raises:
      DataError: an input is missing.
    """
    digest = hashlib.sha256(settings.model_dump_json().encode())
    here = Path(__file__).resolve().parent
    code = [*sorted(here.glob("*.py")), here.parent / "components" / "example_gen.py"]
    digest.update(json.dumps(window(settings.source)).encode())
    for path in [*input_files(settings.source), *code]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def window(source: Source) -> list[str]:
    """Return the names of the spans that are read, oldest first; none where the inputs are not in dated folders.

    Raises:
      DataError: there is no such span.
    """
    if isinstance(source, ServiceLogsSource):
        log_files(source)  # which makes them first, where the source says so
        return chosen(str(Path(source.path, source.pages)), source.spans)
    return chosen(source.path, source.spans) if isinstance(source, TableSource) else []


def file_fingerprint(path: str) -> str:
    """Return a hash of a file's content.

    Raises:
      DataError: it cannot be read.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Expected a file; correct the path") from None


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
    if isinstance(source, ServiceLogsSource):
        page_files, click_files = log_files(source)
        return [*page_files, *click_files, *_existing(items_path=source.items_path)]
    if isinstance(source, MindSource):
        folder = Path(source.path)
        return [file for name in ("behaviors.tsv", "news.tsv") for file in _existing(path=str(folder / name))]
    if isinstance(source, OpenBanditSource):
        return list(open_bandit_files(source))
    side = _existing(users_path=source.users_path, items_path=source.items_path)
    return [*(_existing(path=source.path) if SPAN not in source.path else resolve(source.path, source.spans)), *side]


def _read_spans(source: TableSource, quarantine: Quarantine) -> Interactions:
    """Read the interactions of all chosen spans, oldest first, and the user and item tables once."""
    first, *others = resolve(source.path, source.spans)
    data = read_tables(source.model_copy(update={"path": str(first)}), quarantine)
    alone = source.model_copy(update={"users_path": None, "items_path": None, "list_columns": ()})
    events = [read_tables(alone.model_copy(update={"path": str(path)}), quarantine).events for path in others]
    where = f"table {source.path}, spans {', '.join(window(source))}"
    return dataclasses.replace(data, events=pa.concat_tables([data.events, *events]), source=where)


def _existing(**paths: str | None) -> list[Path]:
    """Return the named files that are given, all of them there and none empty; the key is that of the source."""
    files = []
    for key, name in paths.items():
        if name is None:
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
