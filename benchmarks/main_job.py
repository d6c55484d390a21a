"""Time, memory and quality of the main job, first and unchanged second run, as whole processes.

make bench            # writes benchmarks/results/main_job.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measurement import record

ROOT = Path(__file__).resolve().parent.parent


def measured_run(arguments: list[str], output_root: Path) -> dict[str, Any]:
    """Run the pipeline once; return its wall time, peak memory and what its summary says."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "pipeline.py", "run", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    newest = max(output_root.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    summary = json.loads(newest.read_text())
    nodes = summary["nodes"]
    training = sum(node["seconds"] for node in nodes if node["name"] == "Trainer" and not node["cached"])
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "seconds": round(seconds, 1),
        # Of the largest process; the checking child of InfraValidator is a second one.
        "peak_memory_gib": round(usage.ru_maxrss / 2**20, 2),
        "overhead_seconds": round(seconds - training, 1),
        "outside_nodes_seconds": round(seconds - sum(node["seconds"] for node in nodes), 1),
        "nodes": {node["name"]: {"seconds": node["seconds"], "cached": node["cached"]} for node in nodes},
        "cached_share": round(sum(node["cached"] for node in nodes) / len(nodes), 2),
        "version": summary["version"],
        "quality": quality(summary["metrics"]),
    }


def quality(metrics: list[dict[str, Any]], name: str = "ndcg@10") -> dict[str, dict[str, float]]:
    """Return the metric over all queries, and over those whose user has at least one earlier event.

    Every query lies in one slice of `user_event_count`, so the second is the mean of the slices but `<1`, weighted by
    their queries.
    """
    table = {(row["slice"], row["name"]): row for row in metrics}
    overall = table["overall", name]
    known = [
        (table[slice_, "num_queries"]["value"], row)
        for (slice_, metric), row in table.items()
        if metric == name and slice_.startswith("user_event_count=") and not slice_.endswith("<1")
    ]
    num_known = sum(queries for queries, _ in known)

    def compared(num_queries: float, model: float, popularity: float) -> dict[str, float]:
        lift = round(model / popularity - 1, 3)
        return {"queries": num_queries, "model": round(model, 4), "popularity": round(popularity, 4), "lift": lift}

    return {
        f"{name}, all queries": compared(
            table["overall", "num_queries"]["value"], overall["value"], overall["popularity"]
        ),
        f"{name}, users with an earlier event": compared(
            num_known,
            sum(queries * row["value"] for queries, row in known) / num_known,
            sum(queries * row["popularity"] for queries, row in known) / num_known,
        ),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/movielens_100k.yaml")
    parser.add_argument("--data-path", help="a copy of the data set; empty: obtained as `make run` does")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--config", options.config, "--output-root", folder]
        if options.data_path:
            arguments += ["--data-path", options.data_path]
        result = {
            "first_run": measured_run(arguments, Path(folder)),
            "unchanged_second_run": measured_run(arguments, Path(folder)),
        }
    record("main_job", result)


if __name__ == "__main__":
    main()
