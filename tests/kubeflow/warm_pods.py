"""Processes in place of pods, started from one that has loaded TFX already.

Loading takes ten seconds and more of each real process. Here one process loads it once and forks for every command;
each command still runs alone, from its command line on, and can be killed.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

# Not more: what touches TensorFlow's runtime here would leave it without its threads in every forked process.
PRELOADED = (
    "components.evaluator",
    "models.registry",
    "orchestration.node_launcher",
    "orchestration.run_record",
    "reporting.page",
    "tests.kubeflow.tiny_pipeline",
    "tfx.orchestration.local.runner_utils",
    "tfx.orchestration.portable.launcher",
)


def _serve() -> None:
    """Answer each line of standard input, a JSON record of command, environment and output file, by an exit code."""
    for module in PRELOADED:
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(**request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(command: list[str], environment: dict[str, str], output: str) -> None:
    """Turn into `python -m module arguments`."""
    assert command[:2] == ["python", "-m"], command
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(0)
    os.environ.update(environment)
    sys.argv = command[2:]
    code = 1
    try:
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    _serve()
