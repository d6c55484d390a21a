"""From a served version back to the run, the data and the code that it came from."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from orchestration.output_root import OutputRoot
from orchestration.recommendation import find_version
from serving import version_store
from settings.errors import RequestError


def trace(output_root: Path, name: str | None, number: int | None = None) -> dict[str, Any]:
    """Return what is known of a served version, as JSON values; None where a record is gone.

    Args:
      output_root: where runs were made.
      name: the served model's; None where there is only one.
      number: the version; None: the newest.

    Returns:
      `version`, `path`, `pushed_at`, `restored_from`, `undamaged`, `model_uri`, `run_id` (the run that trained or
      pushed it first), `code_revision`, `source`, `data` (first and last event of each split) and `metrics` (overall).

    Raises:
      RequestError: there is no such version.
      ShortlistError: its manifest is missing or damaged.
    """
    serving_root = find_version(output_root, name).parent
    found = {version.number: version for version in version_store.versions(serving_root)}
    version = found.get(max(found) if number is None else number)
    if version is None:
        raise RequestError(f"--version {number}: is not in {serving_root}. Versions: {sorted(found)}")
    manifest = version.manifest()
    original = found.get(manifest.restored_from) if manifest.restored_from else None
    run_id = original.manifest().run_id if original else manifest.run_id
    summary = _summary(OutputRoot(output_root).runs, run_id, manifest.model_uri)
    return {
        "version": version.number,
        "path": str(version.path),
        "pushed_at": manifest.pushed_at,
        "restored_from": manifest.restored_from,
        "undamaged": _undamaged(version),
        "model_uri": manifest.model_uri,
        "run_id": summary.get("run_id", run_id),
        "code_revision": summary.get("code_revision"),
        "source": summary.get("source"),
        "data": {
            split: [_day(rows["first_timestamp"]), _day(rows["last_timestamp"])]
            for split, rows in summary.get("data", {}).items()
            if rows["first_timestamp"] is not None
        },
        "metrics": {row["name"]: row["value"] for row in summary.get("metrics", []) if row["slice"] == "overall"},
    }


def _summary(runs: Path, run_id: str | None, model_uri: str) -> dict[str, Any]:
    """Return the summary of the run that pushed a model; where TFX named the run otherwise, of the one that made it."""
    paths = [runs / run_id / "summary.json"] if run_id else []
    paths += sorted(runs.glob("*/summary.json"))
    for path in paths:
        if not path.is_file():
            continue
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        outputs = [uri for node in summary["nodes"] for uris in node["outputs"].values() for uri in uris]
        if summary["run_id"] == run_id or model_uri in outputs:
            return summary
    return {}


def _undamaged(version: version_store.Version) -> bool:
    from settings.errors import ShortlistError

    try:
        version_store.verify(version)
    except ShortlistError:
        return False
    return True


def _day(timestamp: int) -> str:
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).isoformat(timespec="seconds")
