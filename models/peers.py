"""Workers in other pods: one runs the pipeline, the others join its training whenever it comes to one.

The pods share a folder. What is to be trained is known to the pipeline's Trainer alone; it writes that there, and each
of the others starts a worker with it. TF_CONFIG, which every pod has of its own, lets the workers find one another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

# Names the folder; set in pods that train together.
PEERS_FOLDER = "SHORTLIST_PEERS_FOLDER"
_CALL = "call.json"
_END = "end"


def open_folder(folder: Path) -> None:
    """Make the folder; what an earlier pod of the same Job had called for is no longer wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CALL).unlink(missing_ok=True)


def call(folder: Path, arguments: str) -> None:
    """Ask the other pods to train; what they may still be doing for an earlier call, they leave."""
    staged = folder / f"{_CALL}.new"
    staged.write_text(json.dumps({"id": uuid.uuid4().hex, "arguments": arguments}), encoding="utf-8")
    staged.replace(folder / _CALL)


def dismiss(folder: Path) -> None:
    """Let the other pods end: nothing more will be trained."""
    (folder / _END).touch()


def follow(folder: Path, environment: Mapping[str, str] = os.environ, poll_seconds: float = 1.0) -> None:
    """Do what the pod that runs the pipeline calls for, until it dismisses this one.

    A worker that is lost, here or there, is no matter for this pod: the pipeline's Trainer calls again.

    Args:
      folder: shared by the pods.
      environment: of the workers; holds this pod's TF_CONFIG.
      poll_seconds: between two looks into the folder.
    """
    answered, worker = "", None
    try:
        while not (folder / _END).exists():
            wanted = _read(folder / _CALL)
            if wanted and wanted["id"] != answered:
                _stop(worker)
                answered = wanted["id"]
                command = [sys.executable, "-m", "models.workers", wanted["arguments"], str(folder / "peer_error.json")]
                worker = subprocess.Popen(command, env=dict(environment))
            time.sleep(poll_seconds)
    finally:
        _stop(worker)


def _read(path: Path) -> dict[str, str]:
    try:
        record: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return record
    except FileNotFoundError:
        return {}


def _stop(worker: subprocess.Popen[bytes] | None) -> None:
    if worker is not None:
        worker.kill()
        worker.wait()
