"""A pushed version as a KServe revision that takes a share of the requests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from serving import version_store
from serving.version_store import Version
from settings.errors import RequestError

MANIFEST = Path(__file__).resolve().parent.parent / "kubernetes" / "serving" / "kserve" / "inference-service.yaml"
REVISIONS = "revisions"


def revision(version_dir: Path, output_root: Path) -> Version:
    """Return a copy of a version in a folder that no other version will ever be in; made once.

    KServe starts a revision from what its `storageUri` holds, and TensorFlow Serving takes the newest version there. A
    stable and a canary revision over one folder of versions would both serve the newest, so each gets its own:
    `revisions/<name>/<version>/<version>`.

    Args:
      version_dir: a pushed version, with its manifest.
      output_root: as of `run`.

    Raises:
      ShortlistError: the version is damaged.
    """
    version = Version(int(version_dir.name), version_dir)
    return version_store.copy(version, output_root / REVISIONS / version_dir.parent.name / version_dir.name)


def inference_service(version_dir: Path, storage: str, traffic_percent: int) -> dict[str, Any]:
    """Return the InferenceService whose newest revision is this version, with a share of the requests.

    The rest of the requests stay with the last revision that took all of them.

    Args:
      version_dir: a pushed version.
      storage: where the cluster finds the output root, for example `pvc://shortlist-runs`.
      traffic_percent: 1 to 100; 100 promotes the version.

    Raises:
      RequestError: the share is no percentage.
    """
    if not 1 <= traffic_percent <= 100:
        raise RequestError(f"--canary {traffic_percent}: expected 1 to 100 percent; 100 promotes the version")
    service: dict[str, Any] = copy.deepcopy(yaml.safe_load(MANIFEST.read_text(encoding="utf-8")))
    predictor = service["spec"]["predictor"]
    predictor["canaryTrafficPercent"] = traffic_percent
    predictor["model"]["storageUri"] = "/".join(
        (storage.rstrip("/"), REVISIONS, version_dir.parent.name, version_dir.name)
    )
    return service
