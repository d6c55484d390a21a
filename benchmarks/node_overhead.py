"""What the container path adds to a node: a whole pod's command against the import of TFX alone; and compiling.

    make bench-node-overhead

The node measured writes one number, so nearly all of its process is loading, reading the compiled pipeline, connecting
to the metadata store and TFX's driver: all that lies between the launcher's start and the executor's, and the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measurement import record
from orchestration.kubeflow.graph import Graph
from settings.config import load

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = "configs/movielens_100k.yaml"
FACTORY = "tests.kubeflow.tiny_pipeline.create_pipeline"
GRAPH = Graph({"Numbers": (), "Doubler": ("Numbers",), "Baseline": ("Doubler",), "Publisher": ("Baseline", "Doubler")})
IMPORTS = (
    "import tfx.orchestration.local.runner_utils, tfx.orchestration.portable.launcher, orchestration.node_launcher, "
    "tests.kubeflow.tiny_pipeline"
)


def seconds(*words: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=True, capture_output=True)
    return time.monotonic() - started


def main(repetitions: int = 3) -> None:
    config = load(CONFIG)
    imports, nodes = [], []
    with tempfile.TemporaryDirectory() as folder:
        seconds("-c", IMPORTS)  # the files come from the disk's cache afterwards
        for number in range(repetitions):
            run = f"run-{number}"
            seconds(
                "-m", "orchestration.kubeflow.prepare", "--config", config.to_json(), "--enable-cache", "false",
                "--output-root", folder, "--run-id", run, "--shape", GRAPH.digest(), "--factory", FACTORY,
            )  # fmt: skip
            imports.append(seconds("-c", IMPORTS))
            node = ["-m", "orchestration.kubeflow.node", "--ir", f"{folder}/runs/{run}/pipeline.json"]
            node += ["--node", "Numbers", "--run-id", run, "--metadata", f"sqlite://{folder}/metadata.sqlite"]
            nodes.append(seconds(*node))
        compiled = seconds(
            "pipeline.py", "kubeflow", "compile", "--config", CONFIG, "--cluster", "kubernetes/clusters/dev.yaml",
            "--output", f"{folder}/package.yaml",
        )  # fmt: skip
    result = {
        "compile_seconds": round(compiled, 2),
        # The least of each: whatever else the machine does only adds to it.
        "import_seconds": round(min(imports), 2),
        "node_seconds": round(min(nodes), 2),
        "overhead_seconds": round(min(nodes) - min(imports), 2),
    }
    record("node_overhead", result)


if __name__ == "__main__":
    main()
