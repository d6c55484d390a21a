"""The compiled package of the real pipeline, run as separate processes against a real metadata server.

A file of its own: tests of one file run one after the other, and these take as long as all of the tiny pipeline's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.kubeflow.containers import Containers
from orchestration.kubeflow.kfp_pipeline import write_package
from orchestration.kubeflow.representation import shape
from settings.config import load
from settings.kubernetes import KubernetesSettings
from tests.kubeflow.databases import mariadb
from tests.kubeflow.stand_in import StandIn, Warm


@pytest.mark.e2e
@pytest.mark.timeout(1200)
def test_the_real_pipeline_ends_with_a_blessing_and_a_pushed_model_and_then_comes_from_cache(
    real_data: Callable[[str], Path], tmp_path: Path, settings: KubernetesSettings, warm: Warm
) -> None:
    official, data, root = real_data("ml-100k"), tmp_path / "data", tmp_path / "shared"
    data.mkdir()
    for name in ("u.item", "u.user"):
        (data / name).write_bytes((official / name).read_bytes())
    rows = (official / "u.data").read_bytes().splitlines(keepends=True)
    (data / "u.data").write_bytes(b"".join(row for row in rows if int(row.split(b"\t")[0]) <= 200))
    config = load("configs/movielens_100k.yaml", ["model.name=item_knn"], str(data))
    folder = tmp_path / "server"
    folder.mkdir()
    with mariadb(folder) as server:
        here = settings.model_copy(
            update={
                "output_root": settings.output_root.model_copy(update={"path": str(root)}),
                "metadata": settings.metadata.model_copy(update={"url": server.url, "password_path": str(folder)}),
            }
        )
        package = tmp_path / "movielens.yaml"
        write_package(Containers(config, here, shape(config)), package)
        backend = StandIn(package, tmp_path / "minio", {}, warm)
        first = backend.run("run-1")
        assert set(first.exit_codes.values()) == {0}, "".join(map(first.output, first.attempts))[-9000:]
        second = backend.run("run-2")
        assert set(second.exit_codes.values()) == {0}, second.output("report")
    records = [json.loads((root / "runs" / run / "summary.json").read_text()) for run in ("run-1", "run-2")]
    assert [record["blessed"] for record in records] == [True, True]
    assert [record["newly_pushed"] for record in records] == [True, False]
    assert Path(records[0]["pushed_path"], "saved_model.pb").is_file()
    assert {node["name"] for node in records[1]["nodes"] if not node["cached"]} == {"BaselineResolver"}
