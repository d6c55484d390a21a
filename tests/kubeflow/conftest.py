"""A configuration, its compiled package, and a metadata server to run it against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.kubeflow.containers import Containers
from orchestration.kubeflow.graph import Graph
from orchestration.kubeflow.kfp_pipeline import write_package
from settings.config import Config
from settings.kubernetes import KubernetesSettings
from tests.kubeflow.databases import SERVERS, Server
from tests.kubeflow.stand_in import StandIn, Warm

TINY = "tests.kubeflow.tiny_pipeline.create_pipeline"
TINY_GRAPH = Graph(
    {"Numbers": (), "Doubler": ("Numbers",), "Baseline": ("Doubler",), "Publisher": ("Baseline", "Doubler")}
)


@pytest.fixture
def config() -> Config:
    return Config.model_validate(
        {
            "name": "tiny",
            "data": {"source": {"kind": "table", "path": "/cluster/only/ratings.csv"}},
            "features": [{"kind": "categorical", "name": "user_id", "tower": "query"}],
            "model": {"name": "popularity"},
            "training": {"seed": 21},
            "gate": {"popularity_metric": "ndcg@10"},
        }
    )


@pytest.fixture
def settings() -> KubernetesSettings:
    return KubernetesSettings(image="registry.example/shortlist@sha256:" + "0" * 64)


@pytest.fixture
def containers(config: Config, settings: KubernetesSettings) -> Containers:
    return Containers(config, settings, TINY_GRAPH, TINY)


@dataclass(frozen=True)
class Cluster:
    """A stand-in backend whose shared volume is a folder."""

    backend: StandIn
    root: Path
    server: Server
    switch: Path
    package: Path

    def store(self) -> Any:
        from orchestration.kubeflow.metadata_store import connection_config, metadata

        return metadata(connection_config(self.server.url, str(self.server.password_file)), 10)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    pods = Warm(tmp_path_factory.mktemp("pods"))
    yield pods
    pods.close()


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, config: Config, settings: KubernetesSettings, warm: Warm
) -> Iterator[Cluster]:
    """The tiny pipeline, compiled, with the kind of metadata server that the test is parametrized with."""
    folder = tmp_path / "server"
    folder.mkdir()
    serve: Callable[[Path], Any] = SERVERS[request.param]
    with serve(folder) as server:
        root = tmp_path / "shared"
        here = settings.model_copy(
            update={
                "output_root": settings.output_root.model_copy(update={"path": str(root)}),
                "metadata": settings.metadata.model_copy(update={"url": server.url, "password_path": str(folder)}),
            }
        )
        package = tmp_path / "tiny.yaml"
        write_package(Containers(config, here, TINY_GRAPH, TINY), package)
        switch = tmp_path / "switch"
        backend = StandIn(package, tmp_path / "minio", {"SHORTLIST_TEST_SWITCH": str(switch)}, warm)
        yield Cluster(backend, root, server, switch, package)
