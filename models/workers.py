"""Several workers on one machine: processes that train together, started again when one of them is lost.

A process is `python -m models.workers ARGUMENTS`: it runs `models.trainer.run_fn` as one worker of the cluster that
TF_CONFIG names. On a cluster whose pods set TF_CONFIG, the Trainer is such a worker itself and nothing is started.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

from models.distribution import TF_CONFIG
from settings import errors
from settings.errors import ShortlistError

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


def run_workers(fn_args: FnArgs, count: int) -> None:
    """Train in `count` processes on this machine; the first of them writes the outputs.

    Each takes a GPU of its own where there are enough of them, and the CPU otherwise.

    Args:
      fn_args: from TFX's Trainer.
      count: how many.

    Raises:
      ShortlistError: what a worker raised; or workers were lost again and again.
    """
    arguments = json.dumps({name: getattr(fn_args, name, None) for name in _FIELDS})
    for attempt in range(1, _ATTEMPTS + 1):
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
    addresses = [f"localhost:{port}" for port in _free_ports(count)]
    with ExitStack() as stack:
        workers = []
        for index in range(count):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = os.environ | {TF_CONFIG: json.dumps(task), "CUDA_VISIBLE_DEVICES": _gpu(index, count)}
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
        return [worker.wait() for worker in workers]


def _hear(output: IO[str], is_first: bool) -> None:
    """Pass the first worker's progress on; leave everything else out."""
    for line in output:
        if is_first and line.startswith("{"):
            _PROGRESS.info("epoch", extra={"progress": json.loads(line)})


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _gpu(index: int, count: int) -> str:
    import tensorflow as tf

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
      error_path: where an error of ours is told.
    """
    _PROGRESS.setLevel(logging.INFO)
    _PROGRESS.addHandler(_Telling())
    from models.trainer import run_fn

    try:
        run_fn(SimpleNamespace(**json.loads(arguments)))
    except ShortlistError as error:
        told = {"kind": type(error).__name__, "message": str(error)}
        Path(error_path).write_text(json.dumps(told), encoding="utf-8")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
