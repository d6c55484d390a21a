"""Several workers on one machine: processes that train together, started again when one of them is lost.

A process is `python -m models.workers ARGUMENTS ERROR_PATH`: it trains as one worker of the cluster that TF_CONFIG
names. On a cluster whose pods set TF_CONFIG, one such process is started and not several. It is always a fresh one,
because TensorFlow joins a cluster before it does anything else or never.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

import tensorflow as tf

from models.distribution import TF_CONFIG, make_strategy
from models.peers import PEERS_FOLDER, call
from settings import errors
from settings.errors import ShortlistError
from settings.training import TrainingSettings

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_LOG = logging.getLogger(__name__)
_PROGRESS = logging.getLogger("shortlist.progress")
_REPOSITORY = Path(__file__).resolve().parent.parent
# All that `run_fn` reads of its argument.
_FIELDS = (
    "custom_config",
    "transform_output",
    "train_files",
    "eval_files",
    "serving_model_dir",
    "model_run_dir",
    "base_model",
    "hyperparameters",
)
# A worker that is lost takes the others with it; all start again from the last checkpoint.
_ATTEMPTS = 3
_SECONDS_WITHOUT_A_PEER = 30.0


def run_workers(fn_args: FnArgs, count: int) -> None:
    """Train in `count` processes; the first of them writes the outputs.

    They are started on this machine, each with a GPU of its own where there are enough of them and on the CPU
    otherwise; but where TF_CONFIG says which of a cluster's workers this is, that one alone.

    Args:
      fn_args: from TFX's Trainer.
      count: how many.

    Raises:
      ShortlistError: what a worker raised; or workers were lost again and again.
    """
    arguments = json.dumps({name: getattr(fn_args, name, None) for name in _FIELDS})
    for attempt in range(1, _ATTEMPTS + 1):
        if PEERS_FOLDER in os.environ:
            call(Path(os.environ[PEERS_FOLDER]), arguments)
        with tempfile.TemporaryDirectory(prefix="workers-") as folder:
            codes = _run_once(arguments, count, Path(folder))
            raised = Path(folder, "error.json")
            if raised.exists():
                error = json.loads(raised.read_text(encoding="utf-8"))
                raise getattr(errors, error["kind"], ShortlistError)(error["message"])
        if not any(codes):
            return
        _LOG.warning("attempt %d of %d: the workers ended with exit codes %s", attempt, _ATTEMPTS, codes)
    raise ShortlistError(
        f"training.workers: {count} workers were lost {_ATTEMPTS} times, last with exit codes {codes}. Expected 0. "
        "What they said is in the run's log"
    )


def _run_once(arguments: str, count: int, folder: Path) -> list[int]:
    """Start the workers, wait for all, and return their exit codes."""
    with ExitStack() as stack:
        workers = []
        for index, own in enumerate(_environments(count)):
            environment = os.environ | own
            environment["PYTHONPATH"] = os.pathsep.join([str(_REPOSITORY), os.environ.get("PYTHONPATH", "")])
            worker = subprocess.Popen(
                [sys.executable, "-m", "models.workers", arguments, str(folder / "error.json")],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(worker.kill)
            workers.append(worker)
            assert worker.stdout is not None
            threading.Thread(target=_hear, args=(worker.stdout, index == 0), daemon=True).start()
        return _ended(workers)


def _ended(workers: Sequence[subprocess.Popen[str]]) -> list[int]:
    """Wait for all workers and return their exit codes; once one has failed, the others are not waited for for long."""
    deadline = math.inf
    while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
        if deadline == math.inf and any(worker.poll() for worker in workers):
            deadline = time.monotonic() + _SECONDS_WITHOUT_A_PEER
        time.sleep(0.1)
    for worker in workers:
        worker.kill()
    return [worker.wait() for worker in workers]


def _environments(count: int) -> list[dict[str, str]]:
    """Return what is particular to the environment of each worker that is to be started here."""
    if TF_CONFIG in os.environ:
        return [{}]
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in range(count)]
    return [{TF_CONFIG: json.dumps(task), "CUDA_VISIBLE_DEVICES": _gpu(i, count)} for i, task in enumerate(tasks)]


def _hear(output: IO[str], is_first: bool) -> None:
    """Pass the first worker's progress on; leave everything else out."""
    with output:
        for line in output:
            if is_first and line.startswith("{"):
                _PROGRESS.info("epoch", extra={"progress": json.loads(line)})


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _gpu(index: int, count: int) -> str:
    return str(index) if len(tf.config.list_physical_devices("GPU")) >= count else ""


class _Telling(logging.Handler):
    """Prints each record's progress, a line of JSON each."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: Any = getattr(record, "progress", None)
        if isinstance(fields, dict):
            print(json.dumps(fields), flush=True)


def main(arguments: str, error_path: str) -> None:
    """Run as one worker.

    Args:
      arguments: JSON of what `run_fn` reads.
      error_path: where an error is told that another attempt would meet again.
    """
    _PROGRESS.setLevel(logging.INFO)
    _PROGRESS.addHandler(_Telling())
    fn_args = SimpleNamespace(**json.loads(arguments))
    try:
        strategy = make_strategy(TrainingSettings.model_validate_json(fn_args.custom_config["training"]))
        # Imported only now: what it imports makes TensorFlow begin.
        from models.trainer import train_and_export

        train_and_export(fn_args, strategy)
    except tf.errors.OpError:
        # Also what a worker sees whose peer was lost.
        raise
    except Exception as error:
        kind = type(error).__name__ if isinstance(error, ShortlistError) else ShortlistError.__name__
        text = str(error) if isinstance(error, ShortlistError) else f"a worker ended with {error!r}"
        Path(error_path).write_text(json.dumps({"kind": kind, "message": text}), encoding="utf-8")
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
