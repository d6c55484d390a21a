"""A Job of several pods that train together: an Indexed Job, whose pods find one another by name."""

from __future__ import annotations

import json
from typing import Any

from models.peers import PEERS_FOLDER

# The headless Service of kubernetes/base, which gives each pod its name.
SERVICE = "shortlist-workers"
LABELS = {"app.kubernetes.io/component": "worker"}
PORT = 2222
# Set by the Job controller on each pod.
_INDEX = "batch.kubernetes.io/job-completion-index"
_JOB = "batch.kubernetes.io/job-name"


def spread(job: dict[str, Any], workers: int, output_root: str) -> dict[str, Any]:
    """Return the spec of a Job whose pods are the workers of one training.

    Kubernetes fills in Job and index, so that one template serves all pods: `TF_CONFIG` names every worker by the name
    that the Job controller gives its pod.

    Args:
      job: spec of a Job with one pod that runs the pipeline.
      workers: how many pods.
      output_root: folder that all pods share.
    """
    addresses = [f"$(SHORTLIST_JOB)-{index}.{SERVICE}:{PORT}" for index in range(workers)]
    # Not by json.dumps: the index is a number, and filled in later.
    tf_config = (
        f'{{"cluster": {json.dumps({"worker": addresses})}, "task": {{"type": "worker", "index": $(SHORTLIST_INDEX)}}}}'
    )
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    container = container | {
        "command": ["python", "-m", "orchestration.kubeflow.worker", "run"],
        "env": [
            *container["env"],
            _field("SHORTLIST_JOB", f"metadata.labels['{_JOB}']"),
            _field("SHORTLIST_INDEX", f"metadata.annotations['{_INDEX}']"),
            {"name": "TF_CONFIG", "value": tf_config},
            {"name": PEERS_FOLDER, "value": f"{output_root}/workers/$(SHORTLIST_JOB)"},
        ],
        "ports": [{"name": "training", "containerPort": PORT}],
    }
    template = {
        "metadata": {"labels": job["template"]["metadata"]["labels"] | LABELS},
        "spec": pod | {"subdomain": SERVICE, "containers": [container]},
    }
    several = {"completionMode": "Indexed", "completions": workers, "parallelism": workers}
    return job | several | {"template": template}


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
