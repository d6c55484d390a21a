"""Latency, throughput, memory and failed requests of the server, asked by a process of its own over loopback.

make bench-serving                                     # the newest version in output/serving
python -m benchmarks.serving --model-dir FOLDER        # another version
python -m benchmarks.serving --kserve-python PYTHON    # beside plain KServe, in an environment of its own:
    python3.11 -m venv ENV && ENV/bin/pip install kserve==0.21.0 tensorflow-cpu==2.21.0

Writes benchmarks/results/serving.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.load_client import LoadClient
from benchmarks.measurement import record
from orchestration.recommendation import find_version
from serving import version_store
from serving.manifest import MANIFEST_FILE

ROOT = Path(__file__).resolve().parent.parent


class Server:
    """A server process.

    Args:
      process: just started.
      predict: address of its predictions.
    """

    def __init__(self, process: subprocess.Popen[str], predict: str) -> None:
        self.process = process
        self.predict = predict

    @classmethod
    def of_shortlist(cls, root: Path) -> Server:
        """Start Shortlist's server over a serving root; return once it answers."""
        process = subprocess.Popen(
            [
                *(sys.executable, "pipeline.py", "serve", "--model-dir", str(root), "--port", "0", "--grpc-port", "0"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        words = process.stdout.readline().split()
        return cls(process, f"{words[words.index('at') + 1]}/v1/models/{root.name}:predict")

    @classmethod
    def of_kserve(cls, python: Path, version: Path) -> Server:
        """Start `benchmarks/plain_kserve.py` with a Python that has kserve; return once it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        script = str(ROOT / "benchmarks" / "plain_kserve.py")
        ports = ["--http_port", str(port), "--enable_grpc", "false"]
        process = subprocess.Popen(
            [str(python), script, "--model_name", "plain", "--saved-model", str(version), *ports],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{python}: does not run {script}. Expected kserve and tensorflow there")
            try:
                urllib.request.urlopen(f"{address}/v1/models/plain", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        return cls(process, f"{address}/v1/models/plain:predict")

    def version(self) -> int:
        """Return the version that serves."""
        with urllib.request.urlopen(self.predict.removesuffix(":predict"), timeout=10) as answer:
            return int(json.load(answer)["model_version_status"][0]["version"])

    def resident_mib(self) -> float:
        """Return the memory that the process and those it started hold now; what several share is counted once."""
        server = psutil.Process(self.process.pid)
        return sum(one.memory_full_info().pss for one in (server, *server.children(recursive=True))) / 2**20

    def stop(self) -> int:
        """Stop it as an operator would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def bodies(users: list[str], items: list[str], k: int, generator: random.Random) -> list[bytes]:
    """Return requests: known users, histories of three items, and nobodies, in the shares 80, 15 and 5 %."""
    requests = []
    for _ in range(2000):
        dice = generator.random()
        who: dict[str, Any] = {"user_id": [generator.choice(users)]}
        if dice > 0.95:
            who = {"user_id": [""]}
        elif dice > 0.8:
            who = {"history": [generator.sample(items, 3)]}
        requests.append(json.dumps({"signature_name": "recommend", "inputs": {**who, "k": k}}).encode())
    return requests


async def at_rate(
    server: Server, requests: list[bytes], rate: float, seconds: float, events: list[tuple[float, Any]]
) -> dict[str, Any]:
    """Send requests at fixed times, whether or not earlier ones were answered; latency counts from the time due."""
    latencies: list[float] = []
    failures: list[str] = []
    resident_before = server.resident_mib()

    async def one(client: LoadClient, body: bytes, due: float) -> None:
        failure = await client.failure(body)
        if failure:
            failures.append(failure)
        latencies.append(time.perf_counter() - due)

    with contextlib.closing(LoadClient(server.predict)) as client:
        tasks = []
        started = time.perf_counter()
        waiting = list(events)
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            if waiting and due - started >= waiting[0][0]:
                tasks.append(asyncio.ensure_future(asyncio.to_thread(waiting.pop(0)[1])))
            tasks.append(asyncio.ensure_future(one(client, requests[number % len(requests)], due)))
        await asyncio.gather(*tasks)
    milliseconds = np.array(latencies) * 1000
    return {
        "requests": len(latencies),
        "requests_per_second": rate,
        "failed": len(failures),
        "failures": sorted(set(failures)),
        **{f"p{p:g}_ms": round(float(np.percentile(milliseconds, p)), 2) for p in (50, 90, 99, 99.9)},
        "resident_mib_before": round(resident_before, 1),
        "resident_mib_after": round(server.resident_mib(), 1),
    }


async def saturated(server: Server, requests: list[bytes], connections: int, seconds: float) -> dict[str, Any]:
    """Keep so many requests under way at all times."""
    started = time.perf_counter()
    failures: list[str] = []

    async def one_after_the_other(client: LoadClient, offset: int) -> None:
        number = offset
        while time.perf_counter() - started < seconds:
            failures.append(await client.failure(requests[number % len(requests)]))
            number += connections

    with contextlib.closing(LoadClient(server.predict)) as client:
        await asyncio.gather(*(one_after_the_other(client, offset) for offset in range(connections)))
    num_failed = sum(map(bool, failures))
    rate = (len(failures) - num_failed) / (time.perf_counter() - started)
    return {"connections": connections, "requests_per_second": round(rate, 1), "failed": num_failed}


def while_swapping(
    server: Server, requests: list[bytes], rate: float, total: int, root: Path, models: list[Path]
) -> dict[str, Any]:
    """Send so many requests while version after version is pushed, each as soon as the one before serves."""
    done = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not done.is_set():
            version = version_store.push(models[swaps % len(models)], root).number
            while server.version() != version and not done.wait(0.1):
                pass
            swaps += server.version() == version

    pushing = threading.Thread(target=swap)
    pushing.start()
    try:
        found = asyncio.run(at_rate(server, requests, rate, total / rate, []))
    finally:
        done.set()
        pushing.join()
    return {"swaps": swaps, **found}


def beside_kserve(
    python: Path, version: Path, requests: list[bytes], seconds: float, full: dict[str, Any]
) -> dict[str, Any]:
    """Return plain KServe's throughput, and how many times that Shortlist's is."""
    plain = Server.of_kserve(python, version)
    try:
        asyncio.run(saturated(plain, requests, connections=32, seconds=3))
        found = asyncio.run(saturated(plain, requests, connections=32, seconds=min(seconds, 15)))
    finally:
        plain.stop()
    times = full["requests_per_second"] / max(found["requests_per_second"], 0.1)
    return {"plain_kserve": found, "times_plain_kserve": round(times, 2)}


def main() -> None:
    """Serve a copy of a version, measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path, help="a version; default: the newest in output/serving")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--swaps", type=int, default=2, help="versions pushed meanwhile")
    parser.add_argument("--swap-requests", type=int, default=10_000, help="sent while version after version is pushed")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--kserve-python", type=Path, help="measure plain KServe, too, run by this Python")
    options = parser.parse_args()
    version = options.model_dir or find_version(ROOT / "output")

    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
        root = Path(folder, "root", version.parent.name)
        models = []
        for number in range(options.swaps + 1):
            model = Path(folder, f"model-{number}")
            shutil.copytree(version, model, ignore=shutil.ignore_patterns(MANIFEST_FILE))
            # Another model as far as the store can tell, and the same one to whoever asks.
            (model / "assets.extra").mkdir()
            (model / "assets.extra" / "number").write_text(str(number))
            models.append(model)
        version_store.push(models[0], root)
        server = Server.of_shortlist(root)
        try:
            users, items = known_ids(version)
            requests = bodies(users, items, options.k, random.Random(0))
            asyncio.run(at_rate(server, requests, options.rate, 5, []))  # until caches and connections are warm
            swaps = [
                (options.seconds * (number + 1) / (options.swaps + 1), lambda m=model: version_store.push(m, root))
                for number, model in enumerate(models[1:])
            ]
            steady = asyncio.run(at_rate(server, requests, options.rate, options.seconds, swaps))
            doubled = asyncio.run(at_rate(server, requests, 2 * options.rate, options.seconds / 2, []))
            full = asyncio.run(saturated(server, requests, connections=32, seconds=min(options.seconds, 15)))
            swapping = while_swapping(server, requests, options.rate, options.swap_requests, root, models)
        finally:
            exit_code = server.stop()
        beside: dict[str, Any] = {}
        if options.kserve_python:
            try:
                beside = beside_kserve(options.kserve_python, models[0], requests, options.seconds, full)
            except RuntimeError as error:  # what was measured before is kept
                beside = {"plain_kserve": str(error)}
    record(
        "serving",
        {
            "model": version.parent.name,
            "items": len(items),
            "k": options.k,
            "swaps": options.swaps,
            "steady": steady,
            "doubled": doubled,
            "saturated": full,
            "swapping": swapping,
            **beside,
            "exit_code": exit_code,
        },
    )


def known_ids(version: Path) -> tuple[list[str], list[str]]:
    """Return users and items of a version, asked in a process of its own so that this one stays small."""
    code = (
        "import sys, json; sys.modules['keras'] = None\n"
        "from serving.loaded_model import LoadedModel\n"
        "model = LoadedModel(sys.argv[1])\n"
        "items = model.ask('recommend', user_id=[''], k=model.catalogue_size)['item_ids'][0]\n"
        "print(json.dumps([[i.decode() for i in ids] for ids in (model.user_ids(), items)]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(version)], cwd=ROOT, capture_output=True, text=True)
    users, items = json.loads(done.stdout.splitlines()[-1])
    return users, items


if __name__ == "__main__":
    main()
