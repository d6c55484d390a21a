"""The command line as a user calls it, in processes of its own where start-up matters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from orchestration.command_line import main
from orchestration.verdict import EXIT_CODES

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"kind": "table", "path": "ratings.csv"}},
    "features": [{"kind": "categorical", "name": "user_id", "tower": "query"}],
    "model": {"name": "popularity"},
    "gate": {"popularity_metric": "ndcg@10"},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose data are there."""
    (tmp_path / "ratings.csv").write_text("user_id,item_id,timestamp\n1,2,1000000000\n")
    path = tmp_path / "config.yaml"
    tree = CONFIG | {"data": {"source": {"kind": "table", "path": str(tmp_path / "ratings.csv")}}}
    path.write_text(yaml.safe_dump(tree))
    return path


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="pipeline.py")
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command_and_every_exit_code() -> None:
    code, text, _ = call("--help")
    assert code == 0
    for command in ("run", "validate", "models", "recommend", "status"):
        assert f"\n  {command} " in text
        code, page, _ = call(command, "--help")
        assert code == 0
        assert "Examples:" in page
    _, page, _ = call("run", "--help")
    assert sorted(EXIT_CODES) == [0, 1, 2, 3, 4, 5]
    for code, meaning in EXIT_CODES.items():
        assert f"  {code}  {meaning}" in page


def test_every_option_is_explained() -> None:
    for command in main.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{command.name} {option.name}"


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["status"], ["validate", "--config", "CONFIG"]])
def test_no_framework_is_loaded_to_answer_at_once(arguments: list[str], config: Path, tmp_path: Path) -> None:
    words = [str(config) if word == "CONFIG" else word for word in arguments]
    script = (
        "import sys; from orchestration.command_line import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'keras', 'ml_metadata'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    # Well under a second where nothing else runs; TensorFlow alone would take seven.
    assert time.monotonic() - started < 6


def test_validate_says_what_would_run(config: Path) -> None:
    code, text, _ = call("validate", "--config", config, "--set", "training.epochs=3")
    assert code == 0
    assert "is valid" in text
    assert "at most 3 epochs" in text
    assert "ndcg@10 better than popularity's" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "trainning.epochs=3"], ["trainning", "is not a known key"]),
        (["--set", "gate={}"], ["no threshold"]),
        (["--set", "training.epochs"], ["key=value"]),
        (["--data-path", "absent.csv"], ["data.source.path", "absent.csv does not exist", "--data-path"]),
        (["--data-path", "."], ["data.source.path", "is a folder", "Expected a file"]),
        (["--data-path", "/dev/null"], ["/dev/null"]),
        (["--set", "data.schema_path=absent.pbtxt"], ["data.schema_path", "--set data.schema_path="]),
    ],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_mistake_ends_with_2_and_a_message_before_any_work(
    config: Path, tmp_path: Path, command: str, arguments: list[str], words: list[str]
) -> None:
    more = ["--output-root", tmp_path / "output"] if command == "run" else []
    code, out, err = call(command, "--config", config, *arguments, *more)
    assert code == 2
    assert err.startswith("Error: ")
    assert "Traceback" not in out + err
    for word in words:
        assert word in err
    assert not (tmp_path / "output").exists()


def test_an_empty_input_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("")
    code, _, err = call("validate", "--config", config)
    assert code == 2
    assert "is empty" in err


def test_an_output_root_that_cannot_be_written_is_named(config: Path, tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file")
    code, _, err = call("run", "--config", config, "--output-root", occupied)
    assert code == 2
    assert f"--output-root {occupied}: cannot be written" in err


def test_a_missing_or_unknown_option_ends_with_2() -> None:
    assert call("run")[0] == 2
    assert call("run", "--confg", "x")[0] == 2
    assert call("run", "--config", "x", "--runner", "kubeflow")[0] == 2


def test_models_in_json_is_the_registry() -> None:
    from models.registry import registry

    code, text, _ = call("models", "--json")
    assert code == 0
    described = json.loads(text)
    assert [model["name"] for model in described] == list(registry())
    for model in described:
        assert model["task"] == registry()[model["name"]].task
        assert "name" not in model["hyperparameters"]


def test_models_explains_one_model_and_refuses_an_unknown_name() -> None:
    from models.registry import registry

    name, params = next((n, p) for n, p in registry().items() if len(p.model_fields) > 1)
    code, text, _ = call("models", name)
    assert code == 0
    assert all(f"model.{field}" in text for field in params.model_fields if field != "name")
    code, _, err = call("models", "bert4nobody")
    assert code == 2
    assert "bert4nobody: is no registered model" in err
    assert name in err


def test_status_of_an_output_root_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    code, text, _ = call("status", "--output-root", tmp_path)
    assert code == 0
    assert "python pipeline.py run --config" in text
    assert json.loads(call("status", "--output-root", tmp_path, "--json")[1]) == []
    code, _, err = call("status", "--output-root", tmp_path, "--run", "20200101-000000")
    assert code == 2
    assert "20200101-000000" in err


def test_status_lists_a_record_that_it_cannot_read(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "20260101-000000"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text('{"schema_version": 2}')
    assert json.loads(call("status", "--output-root", tmp_path, "--json")[1]) == [
        {"run_id": "20260101-000000", "state": "unreadable"}
    ]


def test_recommend_without_a_pushed_model_says_how_to_make_one(tmp_path: Path) -> None:
    code, _, err = call("recommend", "--user", "1", "--output-root", tmp_path)
    assert code == 2
    assert f"python pipeline.py run --config configs/movielens_100k.yaml --output-root {tmp_path}" in err


def test_recommend_refuses_k_below_one_and_two_models_without_a_choice(tmp_path: Path) -> None:
    code, _, err = call("recommend", "--user", "1", "--k", "0", "--output-root", tmp_path)
    assert (code, "--k 0: should be at least 1" in err) == (2, True)
    for name in ("first", "second"):
        (tmp_path / "serving" / name / "1").mkdir(parents=True)
    code, _, err = call("recommend", "--user", "1", "--output-root", tmp_path)
    assert code == 2
    assert "first, second" in err
    assert "--model-dir" in err
