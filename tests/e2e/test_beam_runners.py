"""The same pipeline in-process and under the portable runner with a pool of workers outside the process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, Outcome

pytestmark = pytest.mark.e2e

# Threads and not a process for each pipeline: each process would load TFX anew.
_POOL = """
import sys, threading
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
pool = BeamFnExternalWorkerPoolServicer.start(use_process=False, port=int(sys.argv[1]))  # ends when it is let go
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def worker_pool() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pool = subprocess.Popen([sys.executable, "-c", _POOL, str(port)], cwd=REPOSITORY)
    try:
        deadline = time.monotonic() + 300
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert pool.poll() is None, "the pool of workers has ended"
            assert time.monotonic() < deadline, "the pool of workers does not answer"
            time.sleep(0.1)
        yield f"localhost:{port}"
    finally:
        pool.kill()
        pool.wait()


def _examples(root: Path) -> dict[str, list[bytes]]:
    """Return the records of each split; Beam promises no order."""
    import tensorflow as tf

    (examples,) = (root / "artifacts/ExampleGen/examples").iterdir()
    return {
        split.name: sorted(tf.data.TFRecordDataset(sorted(map(str, split.iterdir())), "GZIP").as_numpy_iterator())
        for split in sorted(examples.glob("Split-*"))
    }


def _statistics(root: Path) -> dict[str, float]:
    """Return by split, feature and place what is counted; quantile sketches depend on how rows were dealt out."""
    import tensorflow_data_validation as tfdv

    found: dict[str, float] = {}
    for path in sorted((root / "artifacts/StatisticsGen/statistics").glob("*/Split-*/FeatureStats.pb")):
        (data,) = tfdv.load_stats_binary(str(path)).datasets
        for feature in data.features:
            numeric = feature.HasField("num_stats")
            kind = feature.num_stats if numeric else feature.string_stats
            values = (kind.mean, kind.min, kind.max) if numeric else (kind.unique,)
            counts = (data.num_examples, kind.common_stats.num_non_missing, kind.common_stats.tot_num_values)
            name = f"{path.parent.name}/{feature.path.step[0]}"
            found |= {f"{name}/{place}": value for place, value in enumerate((*counts, *values))}
    return found


@pytest.mark.timeout(1200)
def test_in_memory_and_portable_give_the_same_examples_statistics_and_metrics(
    ask: Callable[..., Outcome], small_movielens: Path, tmp_path: Path, worker_pool: str
) -> None:
    summaries, roots = [], []
    for runner in ("in-memory", "portable"):
        root = tmp_path / runner
        done = ask(
            "run", "--config", "configs/movielens_100k.yaml", "--data-path", small_movielens, "--output-root", root,
            "--beam-runner", runner, "--set", f"beam.worker_pool={worker_pool}", "--to-node", "Evaluator",
            "--set", "model.name=item_knn",
        )  # fmt: skip
        assert done.summary is not None, done.output
        assert done.summary["metrics"], done.output
        summaries.append(done.summary)
        roots.append(root)
    examples = [_examples(root) for root in roots]
    assert examples[0] == examples[1]
    assert len(examples[0]["Split-train"]) > 1000
    assert _statistics(roots[0]) == pytest.approx(_statistics(roots[1]))
    metrics = [{(row["slice"], row["name"]): row["value"] for row in summary["metrics"]} for summary in summaries]
    assert metrics[0] == pytest.approx(metrics[1], nan_ok=True)
    assert metrics[0]["overall", "ndcg@10"] > 0
