from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets import obtain, sources
from datasets.interactions import Interactions
from settings.data import DataSettings, MovieLensSource, TableColumns, TableSource
from settings.errors import DataError

HEADER = "user_id,item_id,timestamp,stars\n"


def table(path: Path, **changes: object) -> TableSource:
    return TableSource.model_validate({"path": str(path), "columns": TableColumns(rating="stars"), **changes})


def read(path: Path, text: str | bytes, **changes: object) -> Interactions:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return sources.read(table(path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"ratings\.csv: is empty"),
        (" \n\n", r"ratings\.csv: is empty"),
        (HEADER, "holds a header and no row"),
        (HEADER + "u,i,1,2\nu,i,3\n", r"ratings\.csv, line 3: has 3 fields, expected 4\. Rows like it: 1"),
        (HEADER + "u,i,1,2\nu,i,1,2,3\nu\n", r"line 3: has 5 fields, expected 4\. Rows like it: 2"),
        (HEADER + "u,i,1,2\nu,i,soon,2\n", r"line 3: timestamp should be a whole number\. Received: 'soon'"),
        (HEADER + "u,i,1.5,2\n", r"line 2: timestamp should be a whole number\. Received: '1\.5'"),
        (HEADER + "u,i,1,\n", r"line 2: stars should be a number\. Received: None"),
        (HEADER + "u,i,1,nan\n", r"line 2: stars should be a number\. Received: 'nan'"),
        (HEADER + "u,i,1,2\n,i,1,2\n", "row 2 .* user_id is missing"),
        (HEADER.replace("item_id", "film") + "u,i,1,2\n", r"no column 'item_id', which data\.source\.columns\.item_id"),
        (HEADER.encode() + b"u,i,1,2\nu,caf\xe9,1,2\n", r"line 3: is not UTF-8 \(byte 0xe9\)"),
    ],
)
def test_damage_is_named_with_file_line_and_remedy(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "ratings.csv", text)


def test_a_missing_file_and_a_cut_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: does not exist"):
        sources.read(table(tmp_path / "absent.csv"))
    whole = gzip.compress((HEADER + "u,i,1,2\n" * 99).encode())
    with pytest.raises(DataError, match=r"cut\.csv\.gz: is not a whole gzip file"):
        read(tmp_path / "cut.csv.gz", whole[:-9])


def test_one_table_in_every_format_reads_the_same(tmp_path: Path) -> None:
    text = "\ufeff" + HEADER + '7,"a ""b"", c",100,3.5\n8,d,200,1\n'
    plain = read(tmp_path / "r.csv", text)
    assert plain.events.to_pydict() == {
        "user_id": ["7", "8"], "item_id": ['a "b", c', "d"], "timestamp": [100, 200], "rating": [3.5, 1.0],
    }  # fmt: skip
    assert read(tmp_path / "r.csv.gz", gzip.compress(text.encode())).events.equals(plain.events)
    columns = {"user_id": [7, 8], "item_id": ['a "b", c', "d"], "timestamp": [100, 200], "stars": [3.5, 1.0]}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    assert sources.read(table(tmp_path / "r.parquet")).events.equals(plain.events)
    unrated = read(tmp_path / "r.csv", text, columns=TableColumns())
    assert unrated.events["rating"].to_pylist() == [1.0, 1.0]


def test_side_tables_are_typed_and_split_into_lists(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,tags,price,year\nd,x|y,2.5,1990\ne,,3,1991\n")
    data = read(
        tmp_path / "r.csv", HEADER + "u,d,1,2\n", items_path=str(tmp_path / "items.csv"), list_columns=("tags",)
    )
    assert data.users is None
    assert data.items is not None
    assert data.items.to_pylist()[0] == {"item_id": "d", "tags": ["x", "y"], "price": 2.5, "year": 1990}
    assert data.items["tags"].to_pylist()[1] == []


def test_the_fingerprint_follows_content_and_not_time(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(HEADER + "u,d,1,2\n")
    settings = DataSettings(source=table(path))
    first = sources.fingerprint(settings)
    assert sources.fingerprint(settings) == first
    time = path.stat()
    path.write_text(HEADER + "u,d,1,3\n")
    os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))
    assert sources.fingerprint(settings) != first
    assert sources.fingerprint(settings.model_copy(update={"history_length": 9})) != first
    with pytest.raises(DataError, match="is no file"):
        sources.fingerprint(DataSettings(source=table(tmp_path / "absent.csv")))


def test_every_movielens_release_reads_in_its_official_format(real_data: Callable[[str], Path]) -> None:
    known = {
        ("movielens_100k", "ml-100k"): (100_000, 943, 1682, "Toy Story (1995)"),
        ("movielens_1m", "ml-1m"): (1_000_209, 6040, 3883, "Toy Story (1995)"),
        ("movielens_latest_small", "ml-latest-small-2016"): (100_004, 671, 9066, "Toy Story (1995)"),
    }
    for (kind, folder), (num_events, num_users, num_items, title) in known.items():
        data = sources.read(MovieLensSource.model_validate({"kind": kind, "path": str(real_data(folder))}))
        assert data.events.num_rows == num_events
        assert len(data.events["user_id"].unique()) == num_users
        assert data.items is not None
        assert data.items.num_rows == num_items
        first = data.items.to_pylist()[0]
        assert (first["title"], first["year"]) == (title, 1995)
        assert set(first["genres"]) >= {"Animation", "Comedy"}


def test_both_copies_of_100k_hold_the_same_events(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    official = sources.read(MovieLensSource(kind="movielens_100k", path=str(real_data("ml-100k"))))
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += ["\t".join(map(str, row.values())) for row in official.events.select(
        ["user_id", "item_id", "rating", "timestamp"]).slice(0, 50).to_pylist()]  # fmt: skip
    (tmp_path / "ml-100k.inter").write_text("\n".join(lines) + "\n")
    (tmp_path / "ml-100k.user").write_text("user_id:token\tage:token\tgender:token\n196\t49\tM\n")
    (tmp_path / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tToy Story\t1995\tAnimation Children's Comedy\n267\tunkonwn\tunkonwn\tunknown\n"
    )
    shipped = sources.read(MovieLensSource(kind="movielens_100k", path=str(tmp_path)))
    assert shipped.events.equals(official.events.slice(0, 50).combine_chunks())
    assert shipped.items is not None
    assert shipped.items.to_pylist()[0] == official.items.to_pylist()[0]  # type: ignore[union-attr]
    assert shipped.items.to_pylist()[1]["year"] is None


def test_a_tampered_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_nowhere(staging: Path) -> Path:
        obtain._check("ml-100k.zip", hashlib.md5(b"tampered").hexdigest(), "0e33")
        return staging

    monkeypatch.setattr(obtain, "_ROOT", tmp_path)
    monkeypatch.setattr(obtain, "_from_package", from_nowhere)
    monkeypatch.setattr(obtain, "_from_archive", from_nowhere)
    with pytest.raises(DataError, match=r"has checksum .* expected 0e33.*--data-path"):
        obtain.movielens_100k()
    assert not list((tmp_path / "data").iterdir())
