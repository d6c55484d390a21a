from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets import log_files
from datasets.click_join import CLICK_SCHEMA, PAGE_SCHEMA
from datasets.log_files import pieces, read_piece, set_aside
from datasets.quarantine import Quarantine
from settings.data import ClickColumns, PageColumns
from settings.errors import DataError

PAGE = PageColumns().model_dump()
CLICK = ClickColumns().model_dump()
LINE = '{"user_id": "ann", "timestamp": 5, "item_id": "a", "more": {"any": [1]}}'
OPTIONAL = ("history",)


def clicks(path: Path) -> pa.Table:
    found = [read_piece(piece, CLICK_SCHEMA, CLICK) for piece in pieces(path)]
    set_aside([row for _, bad in found for row in bad], Quarantine())
    return pa.concat_tables([table for table, _ in found])


def test_pieces_of_any_size_hold_every_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clicks.jsonl"
    lines = [f'{{"user_id": "u{n}", "timestamp": {n}, "item_id": "{"x" * (n % 37)}i"}}' for n in range(60)]
    path.write_text("\n".join([*lines[:30], "", *lines[30:]]))
    for size in (7, 50, 51, 52, 1000, 10**6):
        monkeypatch.setattr(log_files, "_PIECE_BYTES", size)
        assert clicks(path)["timestamp"].to_pylist() == list(range(60))


def test_ids_may_be_numbers_and_a_history_absent(tmp_path: Path) -> None:
    path = tmp_path / "service.jsonl"
    path.write_text(
        '{"request_id": 9223372036854775808, "user_id": 7, "timestamp": 5, "candidates": [1, "b"]}\n'
        '{"request_id": "r2", "user_id": "u", "timestamp": 6, "candidates": [], "watch_history": null}\n'
    )
    (piece,) = pieces(path)
    assert read_piece(piece, PAGE_SCHEMA, PAGE, OPTIONAL)[0].to_pylist() == [
        {"request_id": "9223372036854775808", "user_id": "7", "timestamp": 5, "history": [], "menu": ["1", "b"]},
        {"request_id": "r2", "user_id": "u", "timestamp": 6, "history": [], "menu": []},
    ]


def test_archives_and_parquet_are_read_alike(tmp_path: Path) -> None:
    packed, parquet = tmp_path / "clicks.jsonl.gz", tmp_path / "clicks.parquet"
    packed.write_bytes(gzip.compress(f"{LINE}\n{LINE}\n".encode()))
    pq.write_table(pa.table({"user_id": ["ann"] * 2, "timestamp": [5, 5], "item_id": ["a", "a"], "x": [1, 2]}), parquet)
    assert clicks(packed).to_pylist() == clicks(parquet).to_pylist() == [
        {"user_id": "ann", "timestamp": 5, "item_id": "a"}
    ] * 2  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"user_id": "ann", "timestamp": 5', "is not JSON"),
        (b"[1, 2]", "holds list. Expected one object a line"),
        (b'{"user_id": "ann", "item_id": "a"}', "timestamp should be whole seconds since 1970. Received: nothing"),
        (b'{"user_id": "", "timestamp": 5, "item_id": "a"}', "user_id should be an id, text or a whole number"),
        (b'{"user_id": "ann", "timestamp": 5, "item_id": 1.5}', "item_id should be an id"),
        (b'{"user_id": "ann", "timestamp": 1780272000000, "item_id": "a"}', "should be whole seconds since 1970"),
        (b'{"user_id": "ann", "timestamp": -5, "item_id": "a"}', "should be whole seconds since 1970"),
        (b'{"user_id": "\xff", "timestamp": 5, "item_id": "a"}', "is not JSON"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_bytes(LINE.encode() + b"\n\n" + line + b"\n")
    with pytest.raises(DataError) as found:
        clicks(path)
    assert str(found.value).startswith(f"{path}, line 3: ")
    assert message in str(found.value)


def test_a_damaged_line_is_numbered_in_the_file_not_in_its_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "_PIECE_BYTES", 100)
    path = tmp_path / "clicks.jsonl"
    path.write_text("\n".join([*([LINE] * 20), "{}"]))
    with pytest.raises(DataError, match=r"clicks.jsonl, line 21: user_id should be"):
        clicks(path)


def test_a_cut_archive_a_broken_parquet_file_and_an_absent_column_are_named(tmp_path: Path) -> None:
    packed = tmp_path / "clicks.jsonl.gz"
    packed.write_bytes(gzip.compress(LINE.encode() * 50)[:-9])
    with pytest.raises(DataError, match="is not a whole gzip file"):
        clicks(packed)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"broken.parquet: cannot be read as Parquet"):
        clicks(broken)
    parquet = tmp_path / "clicks.parquet"
    pq.write_table(pa.table({"user_id": ["ann"], "timestamp": [5]}), parquet)
    with pytest.raises(DataError, match=r"clicks.parquet, row group 1: has no column 'item_id'"):
        clicks(parquet)
