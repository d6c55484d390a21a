"""Time and memory of the join of service and click logs, exactness against truth, and how its cost grows.

make bench-join       # 0.2 to 2 million pages; writes benchmarks/results/log_join.json
python -m benchmarks.log_join --pages 20000 50000 100000
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measurement import record
from datasets.click_join import JoinCounts
from datasets.log_generator import generate
from datasets.log_join import read_joined, write_joined
from settings.data import GeneratedLogs, ServiceLogsSource
from settings.runtime import BeamSettings

_SAMPLE_SECONDS = 0.2
_NEXT_TO_NOTHING = 100
# Of each size the fastest counts: other work on the machine only ever adds seconds.
_JOINS_A_SIZE = 3


def join(logs: Path, joined: Path, num_workers: int) -> None:
    """Join the logs of a folder; what the measured process does."""
    several = num_workers > 1
    beam_args = BeamSettings(runner="multi-processing" if several else "in-memory", workers=num_workers).pipeline_args
    source = ServiceLogsSource(kind="service_logs", path=str(logs))
    write_joined(sorted(logs.glob("*/service-*")), sorted(logs.glob("*/clicks-*")), source, beam_args, joined)


def measured_join(logs: Path, joined: Path, num_workers: int, kill_worker_after: float = 0.0) -> dict[str, Any]:
    """Join in a process of its own; return its seconds, and the most memory that it and its workers held together."""
    joined.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "benchmarks.log_join",
        "--join",
        str(logs),
        str(joined),
        "--workers",
        str(num_workers),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    peak, killed = 0, False
    while process.poll() is None:
        family = _family(process.pid)
        peak = max(peak, sum(map(_resident_bytes, family)))
        if kill_worker_after and not killed and time.perf_counter() - started > kill_worker_after:
            # The newest worker; where there is none, all of it.
            os.kill(family[-1], signal.SIGKILL)
            killed = True
            time.sleep(1.0)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(_SAMPLE_SECONDS)
    return {
        "exit_code": process.returncode,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_memory_gib": round(peak / 2**30, 2),
    }


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def wrong_pages(logs: Path, joined: Path) -> int:
    """Return how many pages differ from the truth; all of them where the counts do."""
    table, counts = read_joined(joined)
    truth = pq.read_table(logs / "truth.parquet").sort_by("request_id")
    found = table.select(truth.column_names).sort_by("request_id")
    expected = JoinCounts(**json.loads((logs / "truth.json").read_text()))
    if found.num_rows != truth.num_rows or counts != expected:
        return truth.num_rows
    pairs = zip(found.to_batches(max_chunksize=100_000), truth.to_batches(max_chunksize=100_000), strict=True)
    return sum(left != right for a, b in pairs for left, right in zip(a.to_pylist(), b.to_pylist(), strict=True))


def same_bytes(left: Path, right: Path) -> bool:
    """Return whether two folders hold the same groups, byte for byte."""
    names = [sorted(path.name for path in folder.glob("pages-*")) for folder in (left, right)]
    return names[0] == names[1] and all((left / name).read_bytes() == (right / name).read_bytes() for name in names[0])


def measured_size(num_pages: int, num_workers: int, folder: Path) -> dict[str, Any]:
    """Make logs, join them, compare with the truth."""
    logs, joined = folder / "logs", folder / "joined"
    made = time.perf_counter()
    counts = generate(GeneratedLogs(num_pages=num_pages, num_users=max(num_pages // 10, 1), num_items=500), logs)
    made = time.perf_counter() - made
    joins = [measured_join(logs, joined, num_workers) for _ in range(_JOINS_A_SIZE)]
    result = {
        "pages": num_pages,
        "log_mib": round(sum(path.stat().st_size for path in logs.glob("*/*")) / 2**20, 1),
        "seconds_to_make": round(made, 1),
        "exit_codes": [one["exit_code"] for one in joins],
        "seconds": min(one["seconds"] for one in joins),
        "peak_memory_gib": max(one["peak_memory_gib"] for one in joins),
        "wrong_pages": wrong_pages(logs, joined),
        "counts": asdict(counts),
    }
    print(json.dumps(result))
    return result


def killed_and_repeated(num_pages: int, num_workers: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Kill a worker in the middle of a join, join again into the same folder, compare with an undisturbed join."""
    logs = folder / "logs"
    generate(GeneratedLogs(num_pages=num_pages, num_users=max(num_pages // 10, 1), num_items=500), logs)
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    measured_join(logs, undisturbed, num_workers)
    killed = measured_join(logs, disturbed, num_workers, kill_worker_after=seconds)
    again = measured_join(logs, disturbed, num_workers)
    return {
        "pages": num_pages,
        "killed_after_seconds": seconds,
        "exit_codes": [killed["exit_code"], again["exit_code"]],
        "same_bytes": same_bytes(undisturbed, disturbed),
        "wrong_pages": wrong_pages(logs, disturbed),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[200_000, 500_000, 1_000_000, 2_000_000])
    parser.add_argument("--workers", type=int, default=1, help="1: in memory, as a run does unless told otherwise")
    parser.add_argument("--folder", help="where logs are made; they take 0.6 GB a million pages")
    parser.add_argument("--join", nargs=2, metavar=("LOGS", "JOINED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.join:
        join(Path(options.join[0]), Path(options.join[1]), options.workers)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        # What a join of next to nothing takes: imports, and the start of the workers.
        start_seconds = measured_size(_NEXT_TO_NOTHING, options.workers, Path(folder))["seconds"]
    sizes = []
    for num_pages in options.pages:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            sizes.append(measured_size(num_pages, options.workers, Path(folder)))
    smallest = sizes[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        workers = max(options.workers, 2)  # a worker of its own is killed
        repeated = killed_and_repeated(smallest["pages"], workers, 0.7 * smallest["seconds"], Path(folder))
    # Of the line through log(pages) and log(seconds after the start): 1 is linear.
    points = np.log([[size["pages"], max(size["seconds"] - start_seconds, 0.1)] for size in sizes])
    slope = round(float(np.polyfit(points[:, 0], points[:, 1], 1)[0]), 3) if len(sizes) > 1 else None
    record(
        "log_join",
        {
            "workers": options.workers,
            "start_seconds": start_seconds,
            "sizes": sizes,
            "slope": slope,
            "killed_and_repeated": repeated,
        },
    )


if __name__ == "__main__":
    main()
