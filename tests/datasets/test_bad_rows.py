"""Every way in which data come damaged, with its message: none passes silently."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets import sources
from datasets.interactions import Interactions
from datasets.quarantine import Quarantine
from datasets.timeline import Timeline
from settings.data import BadRowSettings, DataSettings, MovieLensSource, TableColumns, TableSource
from settings.errors import DataError

HEADER = b"user_id,item_id,timestamp,rating\n"
GOOD = b"7,11,1000000000,3.5\n"
MAPPING = TableColumns(rating="rating")


def source(path: Path) -> TableSource:
    return TableSource(path=str(path), columns=MAPPING)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"7,11,1000000000", "has 3 fields, expected 4"),
        (b"7,11,1000000000,3,9", "has 5 fields, expected 4"),
        (b'7,"11,1000000000,3', "has 2 fields, expected 4"),
        (b"7,caf\xe9,1000000000,3", "item_id is not UTF-8 (byte 0xe9). Received: 'caf\\\\xe9'"),
        (b"7,1\x001,1000000000,3", "item_id should hold no NUL byte. Received: '1\\x001'"),
        (b"7,abc,1000000000,3", "item_id should be a whole number as most of its column are. Received: 'abc'"),
        (b"7,,1000000000,3", "item_id should hold an id, text or a whole number. Received: nothing"),
        (b"7,11,1000000000,good", "rating should be a number. Received: 'good'"),
        (b"7,11,1000000000,inf", "rating should be a number. Received: 'inf'"),
        (b"7,11,yesterday,3", "timestamp should be a whole number. Received: 'yesterday'"),
        (
            b"7,11,1000000000000,3",
            "timestamp should be seconds since 1970. Received: 1000000000000, which looks like milliseconds",
        ),
        (
            b"7,11,1000000000000000,3",
            "timestamp should be seconds since 1970. Received: 1000000000000000, which looks like microseconds",
        ),
        (
            b"7,11,1,3",
            "timestamp should not lie before 1971-01-01 (data.bad_rows.earliest). Received: 1 (1970-01-01 00:00:01)",
        ),
        (
            b"7,11,-1,3",
            "timestamp should not lie before 1971-01-01 (data.bad_rows.earliest). Received: -1 (1969-12-31 23:59:59)",
        ),
        (
            b"7,11,7258118400,3",
            "timestamp should not lie in the future. Received: 7258118400 (2200-01-01 00:00:00)",
        ),
        (
            b"7," + b"1" * 2000 + b",1000000000,3",
            f"item_id should be at most 1,000 bytes long. Received: '{'1' * 80}...' (2,000 characters)",
        ),
    ],
)  # fmt: skip
def test_a_malformed_row_is_set_aside_with_file_line_and_reason(tmp_path: Path, row: bytes, reason: str) -> None:
    path = tmp_path / "r.csv"
    # The last line, so that an unclosed quote swallows nothing.
    path.write_bytes(HEADER + GOOD * 1999 + row + b"\n")
    quarantine = Quarantine()
    data = sources.read(source(path), quarantine)
    assert data.events.num_rows == 1999
    quarantine.write(tmp_path / "quarantine.jsonl")
    (written,) = (json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines())
    assert written == {"file": str(path), "line": 2001, "reason": reason, "num_lines": 1, "unit": "line"}


def test_more_than_the_share_allows_stops_with_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    bad = b"7,11,soon,3\n"
    path.write_bytes(HEADER + GOOD + bad + GOOD * 1997 + bad)
    # 2 of 2000 rows are 0.1 %.
    assert sources.read(source(path)).events.num_rows == 1998
    path.write_bytes(HEADER + GOOD + bad + GOOD * 1995 + bad * 3)
    with pytest.raises(
        DataError,
        match=r"r\.csv, line 3: timestamp should be a whole number\. Received: 'soon'\. Malformed rows: 3 or more of "
        r"2000, where data\.bad_rows\.max_share \(0\.001\) allows 2\. The next: line 1999: .*line 2000.* Repair",
    ):
        sources.read(source(path))
    generous = Quarantine(BadRowSettings(max_share=0.5))
    assert sources.read(source(path), generous).events.num_rows == 1996
    assert [row.line for row in generous.rows] == [3, 1999, 2000, 2001]


def test_different_kinds_of_damage_in_one_file_add_up(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(HEADER + GOOD * 1997 + b"7,11\n" + b"7,\xff,1000000000,3\n" + b"7,11,soon,3\n")
    with pytest.raises(DataError, match=r"line 1999: has 2 fields.*3 or more of 2000.*line 2000: .*UTF-8.*line 2001"):
        sources.read(source(path))


def test_lines_that_an_unclosed_quote_swallows_count(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(HEADER + GOOD * 5000 + b'7,"11,1000000000,3\n' + GOOD * 99)
    with pytest.raises(DataError, match=r"line 5002: has 2 fields, expected 4\. Malformed rows: 100 or more of 5001"):
        sources.read(source(path))


def test_a_file_of_nothing_but_damage_is_answered_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(HEADER + b"7,11,soon,3\n" * 100_000)
    start = time.process_time()
    with pytest.raises(DataError, match=r"line 2: timestamp .*101 or more of 100000"):
        sources.read(source(path))
    assert time.process_time() - start < 5
    path.write_bytes(HEADER + b"7,11,soon,3\n" * 100)
    with pytest.raises(DataError, match=r"holds no usable row: timestamp should be a whole number"):
        sources.read(source(path), Quarantine(BadRowSettings(max_share=1)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv", b"", r"r\.csv: is empty"),
        ("r.csv", HEADER, "holds a header and no row"),
        ("r.csv", ("\ufeff" + (HEADER + GOOD).decode()).encode("utf-16-le"), "is UTF-16. Save the file as UTF-8"),
        ("r.csv.gz", gzip.compress(HEADER + GOOD * 99, mtime=0)[:-9], "is not a whole gzip file.*Transfer it again"),
        ("r.csv.gz", HEADER + GOOD, "is not a whole gzip file"),
    ],
)
def test_a_file_that_is_no_such_file_stops_the_run(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        sources.read(source(tmp_path / name))


def test_missing_and_empty_files_are_named_by_their_key(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(HEADER + GOOD)
    (tmp_path / "empty.csv").write_bytes(b"")
    cases = {
        "path": (source(tmp_path / "absent.csv"), "does not exist"),
        "users_path": (source(tmp_path / "r.csv").model_copy(update={"users_path": str(tmp_path)}), "is a folder"),
        "items_path": (
            source(tmp_path / "r.csv").model_copy(update={"items_path": str(tmp_path / "empty.csv")}),
            "is empty",
        ),
    }
    for key, (wrong, message) in cases.items():
        with pytest.raises(DataError, match=rf"data\.source\.{key}: {tmp_path}.* {message}"):
            sources.input_files(wrong)
    with pytest.raises(DataError, match=r"data\.source\.path: .*nowhere does not exist\. Expected the folder"):
        sources.read(MovieLensSource(kind="movielens_1m", path=str(tmp_path / "nowhere")))


def test_a_byte_order_mark_and_ids_of_any_size_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    huge = b"9223372036854775808,18446744073709551616,1000000000,3\n"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER + huge)
    events = sources.read(source(path)).events
    assert events["user_id"].to_pylist() == ["9223372036854775808"]
    assert events["item_id"].to_pylist() == ["18446744073709551616"]
    columns = {"item_id": pa.array([2**63], pa.uint64()), "user_id": [7.0], "timestamp": [10**9], "rating": [1.0]}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    events = sources.read(source(tmp_path / "r.parquet")).events
    assert (events["user_id"].to_pylist(), events["item_id"].to_pylist()) == (["7"], ["9223372036854775808"])


def test_text_ids_beside_a_few_numbers_are_text_and_may_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(HEADER + GOOD * 95 + b"guest,11,1000000000,3\n" * 5)
    with pytest.raises(DataError, match="line 97: user_id should be a whole number as most of its column are"):
        sources.read(source(path))
    text = TableSource(path=str(path), columns=TableColumns(ids="text"))
    assert set(sources.read(text).events["user_id"].to_pylist()) == {"7", "guest"}


def test_movielens_ids_have_to_be_numbers(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n11,A (1995),Drama\n")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "1,11,3.5,1147880044\n" + "x" * 3)
    with pytest.raises(DataError, match=r"ratings\.csv, line 3: has 1 fields"):
        sources.read(MovieLensSource(kind="movielens_25m", path=str(tmp_path)))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\nu1,11,3.5,1147880044\n")
    with pytest.raises(DataError, match=r"line 2: user_id should be a whole number\. Received: 'u1'"):
        sources.read(MovieLensSource(kind="movielens_25m", path=str(tmp_path)))


def test_repeated_interactions_are_dropped_and_counted() -> None:
    events = pa.table(
        {
            "user_id": ["7"] * 4,
            "item_id": ["11", "11", "11", "12"],
            "timestamp": [100, 100, 101, 100],
            "rating": pa.array([3, 4, 3, 3], pa.float32()),
        }
    )
    timeline = Timeline(Interactions(events, None, None, "memory"), DataSettings(source=TableSource(path="unused")))
    assert timeline.num_duplicates == 1
    assert timeline.events.to_pydict() == {
        "user_id": ["7"] * 3, "item_id": ["11", "12", "11"], "timestamp": [100, 100, 101], "rating": [3.0] * 3,
    }  # fmt: skip


READ = """
import re, sys
import pyarrow as pa
from datasets import sources
from datasets.example_encoder import encode
from datasets.timeline import Timeline
from settings.data import DataSettings, TableColumns, TableSource

folder = sys.argv[1]
source = TableSource(path=f"{folder}/r.csv", columns=TableColumns(rating="rating"), items_path=f"{folder}/items.csv")
pa.set_memory_pool(pa.system_memory_pool())
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
timeline = Timeline(sources.read(source), DataSettings(source=source))
longest = 0
for block in timeline.blocks("train"):
    longest = max(longest, max(len(example.as_py()) for example in encode(block)))
print(longest, peak() - before)
"""


def test_a_field_of_10_mb_goes_through_in_bounded_memory(tmp_path: Path) -> None:
    rows = [f"{user},{user % 25},{10**9 + user},3\n" for user in range(2000)]
    (tmp_path / "r.csv").write_text(HEADER.decode() + "".join(rows))
    stories = ["x" * 10_000_000, *("short" for _ in range(24))]
    (tmp_path / "items.csv").write_text("item_id,story\n" + "".join(f"{i},{s}\n" for i, s in enumerate(stories)))
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=True)
    longest, kilobytes = map(int, done.stdout.split())
    assert longest > 10_000_000
    # The item is in 64 train rows, 640 MB of text, and as much again in examples; a block at a time is far less.
    assert kilobytes < 400_000


def test_a_damaged_record_among_examples_is_set_aside(tmp_path: Path) -> None:
    import tensorflow as tf

    def example(user: int) -> bytes:
        feature = {
            "user_id": tf.train.Feature(int64_list=tf.train.Int64List(value=[user])),
            "item_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"film \xc3\xa9"])),
            "timestamp": tf.train.Feature(int64_list=tf.train.Int64List(value=[10**9])),
            "rating": tf.train.Feature(float_list=tf.train.FloatList(value=[2.5])),
        }
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    for name, kind in (("r.tfrecord", ""), ("r.tfrecord.gz", "GZIP")):
        with tf.io.TFRecordWriter(str(tmp_path / name), tf.io.TFRecordOptions(compression_type=kind)) as writer:
            for record in [example(1), b"\xff no example", example(2), b"", example(3)]:
                writer.write(record)
        quarantine = Quarantine(BadRowSettings(max_share=0.5))
        data = sources.read(source(tmp_path / name), quarantine)
        assert data.events.to_pydict() == {
            "user_id": ["1", "2", "3"], "item_id": ["film é"] * 3, "timestamp": [10**9] * 3, "rating": [2.5] * 3,
        }  # fmt: skip
        assert [str(row) for row in quarantine.rows] == [
            "row 2: is no tf.Example",
            "row 4: user_id should hold an id, text or a whole number. Received: nothing",
        ]
    whole = (tmp_path / "r.tfrecord").read_bytes()
    inside_the_last_header = -(len(example(3)) + 10)
    for end in (-5, inside_the_last_header):
        (tmp_path / "r.tfrecord").write_bytes(whole[:end])
        with pytest.raises(DataError, match="is not a whole TFRecord file"):
            sources.read(source(tmp_path / "r.tfrecord"))
    (tmp_path / "r.tfrecord.gz").write_bytes((tmp_path / "r.tfrecord.gz").read_bytes()[:-12])
    with pytest.raises(DataError, match="is not a whole TFRecord file"):
        sources.read(source(tmp_path / "r.tfrecord.gz"))


def test_texts_in_parquet_are_checked_too(tmp_path: Path) -> None:
    columns = {"user_id": ["a", "b\0"], "item_id": ["x", "y"], "timestamp": np.array([10**9] * 2), "rating": [1.0, 2.0]}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    with pytest.raises(DataError, match=r"r\.parquet, row 2: user_id should hold no NUL byte"):
        sources.read(source(tmp_path / "r.parquet"))
