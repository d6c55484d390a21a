"""Recommendations for every stored user, as Parquet files, by Beam."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from serving import manifest
from serving.loaded_model import Arrays, LoadedModel
from settings.errors import RequestError

BATCH_FILE = "_batch.json"  # readers of Parquet folders pass over names with an underscore
USERS_A_CALL = 1024
_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("rung", pa.string()),
        ("item_ids", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Batch:
    """What decides the content of every file; a folder holds one batch.

    Attributes:
      digest: of the model.
      k: items a user.
      users_per_part: users a file, but for the last one.
    """

    digest: str
    k: int
    users_per_part: int


def recommend_all(
    model_dir: Path, out: Path, k: int, users_per_part: int, beam_args: Sequence[str], report: Callable[[str], None]
) -> int:
    """Write `part-NNNNN-of-NNNNN.parquet`, one row a user in order of ids; parts that are there are not made again.

    A part is written under another name and renamed, so that one that is there is complete. Columns: `user_id`, `rung`,
    `item_ids`, `scores`; users who have seen nearly everything get fewer than k items.

    Args:
      model_dir: a pushed version, with its manifest.
      out: folder of the parts; made where absent.
      k: items a user.
      users_per_part: users a file.
      beam_args: of the pipeline.
      report: told what was done, a line a part, by the worker that did it: pickled, as functions of modules can be.

    Returns:
      the number of users.

    Raises:
      RequestError: the folder holds another batch, or the model knows no users.
      ShortlistError: the version is damaged.
    """
    batch = Batch(manifest.check(model_dir).digest, k, users_per_part)
    _claim(out, batch)
    users = np.sort(_model(str(model_dir)).user_ids())
    if not len(users):
        raise RequestError(f"{model_dir}: tells of no users. Expected a version that this release of Shortlist pushed")
    num_parts = -(-len(users) // users_per_part)
    names = [out / f"part-{number:05d}-of-{num_parts:05d}.parquet" for number in range(num_parts)]
    parts = [
        (str(name), users[number * users_per_part : (number + 1) * users_per_part])
        for number, name in enumerate(names)
        if not name.is_file()
    ]
    report(f"{len(users)} users in {num_parts} parts, {num_parts - len(parts)} of them there already")
    if parts:
        with beam.Pipeline(options=PipelineOptions(list(beam_args))) as pipeline:
            _ = (
                pipeline
                | beam.Create(parts, reshuffle=True)
                | beam.ParDo(_WritePart(str(model_dir), k))
                | beam.Map(report)
            )
    return len(users)


class _WritePart(beam.DoFn):
    """Answers the users of a part and writes its file; yields what was done."""

    def __init__(self, model_dir: str, k: int) -> None:
        self._model_dir = model_dir
        self._k = k

    def process(self, part: tuple[str, np.ndarray]) -> Iterator[str]:
        path, users = part
        model = _model(self._model_dir)
        hidden = f"{path}.{os.getpid()}.tmp"
        calls = [users[start : start + USERS_A_CALL] for start in range(0, len(users), USERS_A_CALL)]

        def rows(asked: np.ndarray) -> pa.Table:
            return _table(asked, model.ask("recommend", user_id=asked, k=self._k))

        # Most operations of a call run in the thread that asks.
        with ThreadPoolExecutor(os.cpu_count()) as threads, pq.ParquetWriter(hidden, _SCHEMA) as writer:
            for table in threads.map(rows, calls):
                writer.write_table(table)
        os.replace(hidden, path)
        yield f"wrote {os.path.basename(path)}, {len(users)} users"


def _table(users: np.ndarray, answer: Arrays) -> pa.Table:
    """Return an answer as rows; arrays of a whole call, because a list a row would take longer than the model."""
    there = answer["item_ids"] != b""  # where the catalogue ends, empty ids follow
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    columns = (_texts(answer["item_ids"][there]), pa.array(answer["scores"][there]))
    lists = (pa.ListArray.from_arrays(ends, values) for values in columns)
    return pa.table([_texts(users), _texts(answer["rung"]), *lists], schema=_SCHEMA)


def _texts(values: np.ndarray) -> pa.Array:
    return pa.array(values.tolist(), pa.binary()).cast(pa.string())


@cache
def _model(model_dir: str) -> LoadedModel:
    """Return the model, loaded once a process."""
    return LoadedModel(model_dir)


def _claim(out: Path, batch: Batch) -> None:
    """Write what the folder holds, or compare with what is written."""
    out.mkdir(parents=True, exist_ok=True)
    path, text = out / BATCH_FILE, json.dumps(asdict(batch), indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise RequestError(
            f"{path}: is of another model, k or part size, and holds {path.read_text()!r}. Name another folder"
        )
    path.write_text(text, encoding="utf-8")
