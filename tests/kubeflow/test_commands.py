from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from orchestration.command_line import main
from orchestration.kubeflow.commands import kubeflow
from settings.config import Config
from settings.errors import ConfigError
from tests.kubeflow.fake_api_server import FakeApiServer

CLUSTER = Path(__file__).parents[2] / "kubernetes/clusters/dev.yaml"


@pytest.fixture
def config_path(config: Config, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.to_json())))
    return path


def call(*words: object) -> Result:
    return CliRunner().invoke(kubeflow, [str(word) for word in words], catch_exceptions=True)


def test_job_prints_what_kubectl_applies(config_path: Path) -> None:
    done = call(
        "job", "--config", config_path, "--cluster", CLUSTER, "--cron", "0 3 * * *", "--set", "training.epochs=2"
    )
    assert done.exit_code == 0, done.output
    config_map, schedule = yaml.safe_load_all(done.stdout)
    assert json.loads(config_map["data"]["config.json"])["training"]["epochs"] == 2
    assert schedule["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"].endswith(
        "shortlist:dev"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["job"], "has no `kubernetes` section"),
        (["job", "--cluster", "absent.yaml"], r"absent\.yaml: cannot be read"),
        (["job", "--cluster", CLUSTER, "--cron", "nightly"], "five fields"),
        (["job", "--cluster", CLUSTER.with_name("prod.yaml")], "image: .*digest of zeros.*docker push"),
        (["schedule", "--cluster", CLUSTER, "--cron", "99 * * * *"], "minute should be within 0 to 59"),
        (["submit", "--cluster", CLUSTER, "--set", "training.epochs=0"], "training.epochs"),
        (["submit", "--cluster", CLUSTER, "--package", "absent.yaml"], "is not a compiled Shortlist pipeline"),
        (["submit", "--cluster", CLUSTER.with_name("prod.yaml")], "image: .*digest of zeros.*docker push"),
        (["runs", "--cluster", CLUSTER, "--host", "http://127.0.0.1:9"], "no Kubeflow Pipelines API server answers"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_submitted(config_path: Path, words: list[str], said: str) -> None:
    done = call(*words, "--config", config_path)
    assert done.exception is not None
    with pytest.raises(Exception, match=said) as caught:
        raise done.exception
    assert getattr(caught.value, "exit_code", None) in {1, 2}


def test_the_runner_kubeflow_compiles_and_submits_and_the_same_again_changes_nothing(
    config_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.kubeflow.conftest import TINY_GRAPH

    # The shape of the real pipeline takes TFX's import and is looked at in test_package.
    monkeypatch.setattr("orchestration.kubeflow.representation.shape", lambda _: TINY_GRAPH)
    monkeypatch.chdir(tmp_path)
    server = FakeApiServer()
    words = ["run", "--runner", "kubeflow", "--config", config_path, "--cluster", CLUSTER, "--host", server.host]
    words += ["--set", "training.epochs=2", "--no-cache"]
    try:
        first, second = (CliRunner().invoke(main, [str(word) for word in words]) for _ in range(2))
    finally:
        server.close()
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert first.output.endswith(": submitted\n")
    assert second.output.endswith(": was already on its way\n")
    (run,) = server.posts("/runs")
    assert run["runtime_config"]["parameters"] == {
        "overrides": ["training.epochs=2"],
        "data_path": "",
        "enable_cache": False,
    }


@pytest.mark.parametrize("option", [("--from-node", "Trainer"), ("--output-root", "elsewhere"), ("--verbose",)])
def test_the_runner_kubeflow_refuses_what_means_nothing_on_a_cluster(
    config_path: Path, option: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(
        main, ["run", "--runner", "kubeflow", "--config", str(config_path), "--cluster", str(CLUSTER), *option]
    )
    assert done.exit_code == 2
    assert f"{option[0]}: has no meaning with --runner kubeflow" in done.output


def test_a_package_of_another_configuration_is_refused(config: Config, config_path: Path, tmp_path: Path) -> None:
    from orchestration.kubeflow.cluster_file import cluster_settings
    from orchestration.kubeflow.containers import Containers
    from orchestration.kubeflow.kfp_pipeline import write_package
    from tests.kubeflow.conftest import TINY_GRAPH

    other = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 3})})
    package = tmp_path / "other.yaml"
    write_package(Containers(other, cluster_settings(config, CLUSTER), TINY_GRAPH), package)
    done = call("submit", "--config", config_path, "--cluster", CLUSTER, "--package", package)
    assert isinstance(done.exception, ConfigError)
    assert "compiled from another configuration" in str(done.exception)


def test_a_wrong_cluster_file_is_told_by_its_keys(config_path: Path, tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text("image: shortlist:1\nnodes: {Trainer: {gpu: {type: gtx}}}\n")
    done = call("job", "--config", config_path, "--cluster", cluster)
    assert "nodes.Trainer.gpu.type: unknown GPU type 'gtx'" in str(done.exception)
