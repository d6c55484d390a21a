"""Service logs joined with click logs on Beam: files in, a table of pages out.

    files ─> pieces ─> read, cut by user ─┐
                                          ├─> group by a hash of the user ─> join ─> one Parquet file a group
    files ─> pieces ─> read, cut by user ─┘

What travels are compressed Arrow tables, not records: a few thousand elements for millions of pages. A group holds the
records of some users and is joined in memory; there are as many groups as keep one near `_GROUP_BYTES` of logs, and one
user cannot make it larger than `max_records_per_user` allows. A file of the result appears whole or not at all, under
the name of its group: work that is done twice writes it twice, with the same bytes. What was read is written down
piece by piece and compared with what was joined: an engine that loses records is found out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from datasets import pages as p
from datasets.beam_workers import until_no_worker_dies
from datasets.click_join import CLICK_SCHEMA, PAGE_SCHEMA, Gathered, JoinCounts, joined
from datasets.log_files import Piece, pieces, read_piece, set_aside
from datasets.quarantine import BadRow, Quarantine
from settings.data import ServiceLogsSource
from settings.errors import DataError, ShortlistError

_GROUP_BYTES = 32_000_000
_COUNTS = b"join_counts"
_COMPRESSION = pa.ipc.IpcWriteOptions(compression="lz4")


def join_logs(
    page_files: Sequence[Path],
    click_files: Sequence[Path],
    source: ServiceLogsSource,
    quarantine: Quarantine,
    beam_args: Sequence[str],
) -> tuple[pa.Table, JoinCounts]:
    """Return the pages with their clicks, by time, request and user, and what became of all records.

    Args:
      page_files: service logs.
      click_files: click logs.
      source: fields, click window and limits.
      quarantine: where malformed lines go.
      beam_args: how Beam runs.

    Raises:
      DataError: a log is damaged; names file and line.
      ShortlistError: Beam's engine lost records.
    """
    with tempfile.TemporaryDirectory(prefix="shortlist-join-") as folder:
        try:
            write_joined(page_files, click_files, source, beam_args, Path(folder))
        except (DataError, RuntimeError) as error:
            # Beam adds where it was; another process's error comes as the text of its traceback.
            text = str(error) if isinstance(error, DataError) else str(error).rpartition("DataError: ")[2]
            if text == str(error) and not isinstance(error, DataError):
                raise
            raise DataError(text.splitlines()[0].partition(" [while running")[0]) from None
        set_aside(_bad_rows(Path(folder)), quarantine)
        return read_joined(Path(folder))


def _pieces_read(folder: Path) -> list[dict[str, Any]]:
    """Return what the workers wrote down of each piece: `num_read`, and its malformed lines as `bad`."""
    return [json.loads(path.read_text()) for path in folder.glob("piece-*.json")]


def _bad_rows(folder: Path) -> list[BadRow]:
    """Return the malformed lines that the workers met."""
    return [BadRow(**row) for piece in _pieces_read(folder) for row in piece["bad"]]


def write_joined(
    page_files: Sequence[Path],
    click_files: Sequence[Path],
    source: ServiceLogsSource,
    beam_args: Sequence[str],
    folder: Path,
) -> None:
    """Join and write one Parquet file a group to a folder; see `join_logs`.

    Raises:
      ShortlistError: Beam's engine lost records, or a worker process died each of three times.
    """
    until_no_worker_dies(lambda: _run_join(page_files, click_files, source, beam_args, folder))
    _check_complete(folder, sum(len(pieces(path)) for path in [*page_files, *click_files]))


def _run_join(
    page_files: Sequence[Path],
    click_files: Sequence[Path],
    source: ServiceLogsSource,
    beam_args: Sequence[str],
    folder: Path,
) -> None:
    num_groups = 1 + sum(path.stat().st_size for path in [*page_files, *click_files]) // _GROUP_BYTES
    options = PipelineOptions(list(beam_args), save_main_session=False)
    with beam.Pipeline(options=options) as pipeline:
        logs = {
            "pages": _read(pipeline, "Pages", page_files, ReadPageLogFn(source, num_groups, str(folder))),
            "clicks": _read(pipeline, "Clicks", click_files, ReadClickLogFn(source, num_groups, str(folder))),
        }
        _ = logs | beam.CoGroupByKey() | "Join" >> beam.ParDo(JoinGroupFn(source, num_groups, str(folder)))


def _check_complete(folder: Path, num_pieces: int) -> None:
    """Refuse a result in which records are missing that were read, or pieces that were to be read."""
    read = _pieces_read(folder)
    counts = [_counts(pq.read_schema(path)) for path in folder.glob("pages-*.parquet")]
    num_read, num_joined = sum(piece["num_read"] for piece in read), sum(found.pages + found.clicks for found in counts)
    if len(read) != num_pieces or num_joined != num_read:
        raise ShortlistError(
            f"the join of logs: Beam's engine lost records. Read {len(read)} of {num_pieces} pieces and {num_read:,} "
            f"records, of which {num_joined:,} were joined. Run again, or with beam.runner: in-memory"
        )


def read_joined(folder: Path) -> tuple[pa.Table, JoinCounts]:
    """Return what `write_joined` wrote, by time, request and user, and the counts."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("pages-*.parquet"))]
    counts = sum((_counts(table.schema) for table in tables), start=JoinCounts())
    table = pa.concat_tables([p.SCHEMA.empty_table(), *(table.replace_schema_metadata() for table in tables)])
    order = pc.sort_indices(table, [(name, "ascending") for name in ("timestamp", "request_id", "user_id")])
    return table.take(order).combine_chunks(), counts


def _counts(schema: pa.Schema) -> JoinCounts:
    """Return what became of the records of a group's file."""
    return JoinCounts(**json.loads(schema.metadata[_COUNTS]))


class _ReadLogFn(beam.DoFn):
    """From a piece of a log to the records of each group, as a compressed table."""

    schema: pa.Schema
    optional: tuple[str, ...] = ()

    def __init__(self, fields: dict[str, str], num_groups: int, folder: str) -> None:
        self._fields = fields
        self._num_groups = num_groups
        self._folder = folder

    def process(self, piece: Piece) -> Iterator[tuple[int, bytes]]:
        """Yield a group's number and its records."""
        table, bad = read_piece(piece, self.schema, self._fields, self.optional)
        name = hashlib.sha256(f"{piece.path}:{piece.start}".encode()).hexdigest()
        read = json.dumps({"num_read": table.num_rows, "bad": [dataclasses.asdict(row) for row in bad]})
        _write_whole(Path(self._folder, f"piece-{name}.json"), lambda path: path.write_text(read))
        users = table["user_id"].combine_chunks().dictionary_encode()
        hashes = pd.util.hash_array(users.dictionary.to_numpy(zero_copy_only=False), categorize=False)
        group = (hashes % np.uint64(self._num_groups))[users.indices.to_numpy()]
        order = np.argsort(group, kind="stable")
        table = table.take(pa.array(order))
        numbers, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
        for number, start, count in zip(numbers, starts, counts, strict=True):
            yield int(number), _to_bytes(table.slice(int(start), int(count)))


class ReadPageLogFn(_ReadLogFn):
    """Reads service logs."""

    schema = PAGE_SCHEMA
    optional = ("history",)

    def __init__(self, source: ServiceLogsSource, num_groups: int, folder: str) -> None:
        super().__init__(source.page_columns.model_dump(), num_groups, folder)


class ReadClickLogFn(_ReadLogFn):
    """Reads click logs."""

    schema = CLICK_SCHEMA

    def __init__(self, source: ServiceLogsSource, num_groups: int, folder: str) -> None:
        super().__init__(source.click_columns.model_dump(), num_groups, folder)


class JoinGroupFn(beam.DoFn):
    """Joins the records of a group and writes its file."""

    def __init__(self, source: ServiceLogsSource, num_groups: int, folder: str) -> None:
        self._window = source.click_window_seconds
        self._max_records = source.max_records_per_user
        self._num_groups = num_groups
        self._folder = folder

    def process(self, group: tuple[int, dict[str, Iterable[bytes]]]) -> None:
        """Write the group's file, whole or not at all."""
        number, logs = group
        pages = Gathered(PAGE_SCHEMA, ["user_id", "timestamp", "request_id"], self._max_records)
        clicks = Gathered(CLICK_SCHEMA, ["user_id", "timestamp", "item_id"], self._max_records)
        for name, gathered in (("pages", pages), ("clicks", clicks)):
            for part in logs[name]:
                gathered.add(pa.ipc.open_stream(part).read_all())
        table, counts = joined(pages, clicks, self._window)
        table = table.select(p.SCHEMA.names).replace_schema_metadata({_COUNTS: json.dumps(dataclasses.asdict(counts))})
        path = Path(self._folder, f"pages-{number:05d}-of-{self._num_groups:05d}.parquet")
        _write_whole(path, lambda staged: pq.write_table(table, staged))


def _read(pipeline: beam.Pipeline, name: str, files: Sequence[Path], read: _ReadLogFn) -> beam.PCollection:
    parts = [piece for path in files for piece in pieces(path)]
    return (
        pipeline
        | f"{name} pieces" >> beam.Create(parts)
        | f"{name} to all workers" >> beam.Reshuffle()
        | f"Read {name}" >> beam.ParDo(read)
    )


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that appears complete or not at all, however often and by how many processes."""
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    write(staged)
    os.replace(staged, path)


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_COMPRESSION) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())
