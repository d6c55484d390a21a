"""What each pod of a Job with several workers calls: the first runs the pipeline, the others join its training."""

from __future__ import annotations

import json
import os
from pathlib import Path

from models.peers import PEERS_FOLDER, dismiss, follow, open_folder
from orchestration.kubeflow.jobs import FINAL_EXIT_CODES


def main() -> None:
    """Be the worker that TF_CONFIG names; the arguments are those of `pipeline.py run`."""
    folder = Path(os.environ[PEERS_FOLDER])
    if json.loads(os.environ["TF_CONFIG"])["task"]["index"]:
        follow(folder)
        return
    from orchestration import command_line

    open_folder(folder)
    try:
        command_line.main()
    except SystemExit as end:
        # After anything else Kubernetes tries again, and needs the others.
        if end.code in (None, 0, *FINAL_EXIT_CODES):
            dismiss(folder)
        raise


if __name__ == "__main__":
    main()
