"""Checks an exported model in a fresh process, as a model server would meet it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from settings.errors import InfraValidationError

POLL_SECONDS = 0.05
# On a machine that many share, a check that works waits for its turn most of the time.
WALL_FACTOR = 6

_PROJECT = Path(__file__).resolve().parent.parent
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckResult:
    """A verdict on a model.

    Attributes:
      passed: the model loaded and every signature answered every request rightly.
      reason: empty where passed; else what is wrong, in words.
      checks: one entry a request answered: `signature`, `request`, `seconds`.
      seconds: of the whole process.
      import_seconds: of it, TensorFlow's import.
      peak_memory_mib: of the process, 0 where the system does not tell.
    """

    passed: bool
    reason: str
    checks: list[dict[str, Any]]
    seconds: float
    import_seconds: float
    peak_memory_mib: int

    def to_json(self) -> str:
        """Return the content of `infra_check.json`."""
        return json.dumps(asdict(self), indent=1)


def check_in_fresh_process(
    model_dir: str,
    example_files: Sequence[str],
    *,
    timeout_seconds: float = 300.0,
    memory_limit_mib: int | None = None,
) -> CheckResult:
    """Load a SavedModel in a process of its own, on the CPU, and ask each signature real requests.

    Args:
      model_dir: folder of the SavedModel.
      example_files: TFRecord files with the raw tf.Examples to ask with.
      timeout_seconds: of processor time for the whole process, its start included; and `WALL_FACTOR` times as much by
        the clock, for one that waits and does nothing.
      memory_limit_mib: resident memory at which the process is ended; None: no limit.

    Returns:
      the verdict; it says the same again when asked again.

    Raises:
      InfraValidationError: the process came to no verdict: it ran out of time or memory, died of a signal or ended
        with an error. The same model may pass on another day.
    """
    with tempfile.TemporaryDirectory(prefix="infra-check-") as folder:
        result, steps, errors = (Path(folder, name) for name in ("result.json", "steps.txt", "errors.txt"))
        started = time.monotonic()
        with steps.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "serving.model_check"),
                    *("--model-dir", model_dir, "--result", str(result), "--", *example_files),
                ],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=_environment(),
                start_new_session=True,
            )
        try:
            peak_mib, ended = _watch(process, timeout_seconds, memory_limit_mib)
        finally:
            _end(process)
        seconds = round(time.monotonic() - started, 2)
        if ended == "processor time":
            problem = f"gave no answer within {timeout_seconds:g} s of processor time"
        elif ended == "time":
            problem = f"gave no answer within {WALL_FACTOR * timeout_seconds:g} s"
        elif ended == "memory":
            problem = f"took {peak_mib} MiB of memory. Allowed: {memory_limit_mib} MiB"
        elif process.returncode < 0:
            problem = f"died of signal {-process.returncode} ({signal.Signals(-process.returncode).name})"
        elif process.returncode or not result.is_file():
            problem = f"ended with status {process.returncode} and no verdict"
        else:
            return CheckResult(
                **json.loads(result.read_text(encoding="utf-8")), seconds=seconds, peak_memory_mib=peak_mib
            )
        log = errors.read_text(encoding="utf-8", errors="replace")
        _log.error("The process that checked %s wrote:\n%s", model_dir, log)
        raise InfraValidationError(
            f"{model_dir}: the process that checks the exported model {problem}, while {_last_line(steps)}. "
            f"Nothing was pushed. {_hint(ended, log)}"
        )


def _watch(process: subprocess.Popen[bytes], timeout_seconds: float, memory_limit_mib: int | None) -> tuple[int, str]:
    """Wait for the end; return the peak memory in MiB, and which limit the process went beyond, empty where none."""
    deadline = time.monotonic() + WALL_FACTOR * timeout_seconds
    peak_mib = 0
    while True:
        peak_mib = max(peak_mib, _peak_memory_mib(process.pid))
        if process.poll() is not None:
            return peak_mib, ""
        if memory_limit_mib and peak_mib > memory_limit_mib:
            return peak_mib, "memory"
        if _processor_seconds(process.pid) > timeout_seconds:
            return peak_mib, "processor time"
        if time.monotonic() > deadline:
            return peak_mib, "time"
        time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started, where it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _peak_memory_mib(pid: int) -> int:
    """Return the most resident memory that a process has held; 0 where it is gone or the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _processor_seconds(pid: int) -> float:
    """Return how long a process has computed; 0 where it is gone or the system does not tell."""
    try:
        numbers = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system = map(int, numbers[11:13])  # proc(5): utime and stime, counted from the state on
    return (user + system) / os.sysconf("SC_CLK_TCK")


def _environment() -> dict[str, str]:
    """Return this process's environment, with the project importable and without the GPU that training may hold."""
    path = os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _last_line(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line), "starting Python")


def _hint(ended: str, log: str) -> str:
    if ended in ("time", "processor time"):
        return "Look at that step, or allow more with InfraValidator(timeout_seconds=...) in pipeline.py"
    if ended == "memory":
        return "Look at that step, or allow more with InfraValidator(memory_limit_mib=...) in pipeline.py"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"Its last line: {lines[-1][:300]}" if lines else "It wrote nothing; a SIGKILL may mean too little memory"
