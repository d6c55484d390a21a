from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest

from datasets import log_join
from datasets.beam_workers import WorkerDiedError, dead_workers_raise
from datasets.click_join import JoinCounts
from datasets.log_generator import generate
from datasets.log_join import join_logs, read_joined
from datasets.quarantine import Quarantine
from settings.data import BadRowSettings, GeneratedLogs, ServiceLogsSource
from settings.errors import DataError, ShortlistError

IN_PROCESS = ("--runner=FnApiRunner",)
PROCESSES = (*IN_PROCESS, "--direct_running_mode=multi_processing", "--direct_num_workers=2")
SETTINGS = GeneratedLogs(num_pages=3000, num_users=60, num_items=40, num_programmes=80, num_days=3)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "tv"
    generate(SETTINGS, folder)
    return folder


@pytest.fixture(autouse=True)
def many_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_join, "_GROUP_BYTES", 100_000)


def source(folder: Path) -> ServiceLogsSource:
    return ServiceLogsSource(kind="service_logs", path=str(folder))


def join(folder: Path, beam_args: tuple[str, ...] = IN_PROCESS) -> tuple[pa.Table, JoinCounts]:
    pages, clicks = sorted(folder.glob("*/service-*")), sorted(folder.glob("*/clicks-*"))
    return join_logs(pages, clicks, source(folder), Quarantine(), beam_args)


@pytest.fixture(scope="module")
def result(logs: Path) -> tuple[pa.Table, JoinCounts]:
    return join(logs)


def test_the_join_is_exact_against_the_truth(logs: Path, result: tuple[pa.Table, JoinCounts]) -> None:
    table, counts = result
    truth = pq.read_table(logs / "truth.parquet").sort_by("request_id")
    found = table.sort_by("request_id")
    assert found["request_id"].to_pylist() == truth["request_id"].to_pylist()
    assert found["clicked"].to_pylist() == truth["clicked"].to_pylist()
    assert counts == JoinCounts(**json.loads((logs / "truth.json").read_text()))
    # The logs hold everything that a join can get wrong.
    assert min(counts.duplicate_pages, counts.duplicate_clicks, counts.repeated, counts.late, counts.unmatched) > 5
    assert counts.pages_with_click < counts.pages - counts.duplicate_pages


def test_the_order_of_the_lines_changes_nothing(
    logs: Path, result: tuple[pa.Table, JoinCounts], tmp_path: Path
) -> None:
    shuffle = random.Random(1)
    for name in ("service", "clicks"):
        lines = [line for path in logs.glob(f"*/{name}-*") for line in path.read_text().splitlines()]
        shuffle.shuffle(lines)
        middle = len(lines) // 3
        for number, part in enumerate((lines[:middle], lines[middle:])):
            (tmp_path / f"day{number}").mkdir(exist_ok=True)
            (tmp_path / f"day{number}" / f"{name}-0.jsonl").write_text("\n".join(part))
    table, counts = join(tmp_path)
    assert table.equals(result[0])
    assert counts == result[1]


def test_several_processes_and_small_pieces_change_nothing(
    logs: Path, result: tuple[pa.Table, JoinCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.log_files._PIECE_BYTES", 100_000)
    monkeypatch.setattr(log_join, "_GROUP_BYTES", 400_000)
    table, counts = join(logs, PROCESSES)
    assert table.equals(result[0])
    assert counts == result[1]


def test_parquet_logs_give_the_same(logs: Path, result: tuple[pa.Table, JoinCounts], tmp_path: Path) -> None:
    for path in logs.glob("*/*.jsonl"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        table = pa_json.read_json(path)
        pq.write_table(table, tmp_path / path.parent.name / f"{path.stem}.parquet", row_group_size=200)
    table, counts = join(tmp_path)
    assert table.equals(result[0])
    assert counts == result[1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(
    logs: Path, result: tuple[pa.Table, JoinCounts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_join, "_GROUP_BYTES", 10_000)
    pages, clicks = sorted(logs.glob("*/service-*")), sorted(logs.glob("*/clicks-*"))
    threading.Thread(target=_kill_workers_at_the_first_group, args=[tmp_path], daemon=True).start()
    with pytest.raises(WorkerDiedError, match=r"Worker subprocess exited with return code"), dead_workers_raise():
        log_join._run_join(pages, clicks, source(logs), PROCESSES, tmp_path)
    assert list(tmp_path.glob("pages-*"))
    log_join.write_joined(pages, clicks, source(logs), IN_PROCESS, tmp_path)
    table, counts = read_joined(tmp_path)
    assert table.equals(result[0])
    assert counts == result[1]


def _kill_workers_at_the_first_group(folder: Path) -> None:
    while not list(folder.glob("pages-*")):
        time.sleep(0.001)
    for child in psutil.Process().children(recursive=True):
        if child.cmdline()[1:3] == ["-m", "apache_beam.runners.worker.sdk_worker_main"]:
            child.kill()


def test_an_engine_that_loses_records_is_found_out(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = log_join.JoinGroupFn.process

    def half(self: log_join.JoinGroupFn, group: tuple[int, dict[str, list[bytes]]]) -> None:
        keep(self, (group[0], {"pages": list(group[1]["pages"])[1:], "clicks": list(group[1]["clicks"])}))

    monkeypatch.setattr(log_join.JoinGroupFn, "process", half)
    with pytest.raises(
        ShortlistError, match=r"lost records\. Read 6 of 6 pieces and [\d,]+ records, of which [\d,]+ were"
    ):
        join(logs)


def test_a_damaged_line_is_named_although_a_worker_found_it(tmp_path: Path) -> None:
    (tmp_path / "2026-06-01").mkdir()
    good = '{"request_id": "r", "user_id": "u", "timestamp": 5, "watch_history": [], "candidates": ["a"]}\n'
    pages = tmp_path / "2026-06-01" / "service-0.jsonl"
    pages.write_text(good * 3 + '{"request_id": "r", "user_id": "u", "timestamp": "noon", "candidates": ["a"]}\n')
    (tmp_path / "2026-06-01" / "clicks-0.jsonl").write_text('{"user_id": "u", "timestamp": 6, "item_id": "a"}\n')
    with pytest.raises(DataError) as found:
        join(tmp_path)
    assert str(found.value).startswith(
        f"{pages}, line 4: timestamp should be whole seconds since 1970. Received: 'noon'. Malformed rows: 1 or more of"
    )
    quarantine = Quarantine(BadRowSettings(max_share=0.5))
    clicks = tmp_path / "2026-06-01" / "clicks-0.jsonl"
    table, counts = join_logs([pages], [clicks], source(tmp_path), quarantine, IN_PROCESS)
    assert [(row.file, row.line) for row in quarantine.rows] == [(str(pages), 4)]
    assert (table.num_rows, counts.pages, counts.joined) == (1, 3, 1)


def test_the_same_settings_make_the_same_logs_and_another_seed_others(logs: Path, tmp_path: Path) -> None:
    generate(SETTINGS, tmp_path / "again")
    generate(SETTINGS.model_copy(update={"seed": 8}), tmp_path / "other")
    name = "2025-06-03/service-00000.jsonl"
    assert (tmp_path / "again" / name).read_bytes() == (logs / name).read_bytes()
    assert (tmp_path / "other" / name).read_bytes() != (logs / name).read_bytes()
    assert sorted(path.name for path in logs.iterdir()) == [
        "2025-06-02", "2025-06-03", "2025-06-04", "truth.json", "truth.parquet",
    ]  # fmt: skip
