from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tfx.components.util import model_utils
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

import components.infra_validator
from components.infra_validator import Executor, InfraValidator
from serving.isolated_check import CheckResult
from serving.signature_checks import check_model
from settings.errors import DataError, InfraValidationError
from tests.serving.tiny_servable import save, write_rows

Validate = Callable[..., standard_artifacts.InfraBlessing]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test the start of TensorFlow in a process of its own; test_isolated_check has one."""

    def check(model_dir: str, files: list[str], **limits: Any) -> CheckResult:
        verdict = check_model(model_dir, files, lambda step: None)
        return CheckResult(**verdict.to_json(), seconds=1.0, import_seconds=0.5, peak_memory_mib=1)

    monkeypatch.setattr(components.infra_validator, "check_in_fresh_process", check)


@pytest.fixture
def validate(tmp_path: Path) -> Validate:
    """Run the executor on a model with a fault; return the blessing artifact."""
    model, examples, blessing = (
        standard_artifacts.Model(),
        standard_artifacts.Examples(),
        standard_artifacts.InfraBlessing(),
    )
    model.uri, examples.uri, blessing.uri = (str(tmp_path / name) for name in ("model", "examples", "blessing"))
    examples.split_names = '["train", "test"]'

    def once(fault: str = "", split: str = "test", **parameters: Any) -> standard_artifacts.InfraBlessing:
        save(tmp_path / "model" / "Format-Serving", fault)
        write_rows(tmp_path / "examples" / f"Split-{split}")
        Executor().Do(
            {"model": [model], "examples": [examples]},
            {"blessing": [blessing]},
            {"timeout_seconds": 300.0, "memory_limit_mib": 0, **parameters},
        )
        return blessing

    return once


@pytest.mark.usefixtures("in_this_process")
def test_a_model_that_answers_is_blessed(validate: Validate) -> None:
    blessing = validate()
    assert model_utils.is_infra_validated(blessing)
    assert (Path(blessing.uri) / "INFRA_BLESSED").is_file()
    assert not (Path(blessing.uri) / "INFRA_NOT_BLESSED").exists()
    check = json.loads((Path(blessing.uri) / "infra_check.json").read_text())
    assert (check["passed"], check["reason"], len(check["checks"])) == (True, "", 15)
    assert check["seconds"] == 1.0


@pytest.mark.usefixtures("in_this_process")
def test_a_model_with_nan_is_not_blessed_and_the_reason_is_kept(validate: Validate) -> None:
    blessing = validate("nan")
    assert not model_utils.is_infra_validated(blessing)
    assert blessing.get_int_custom_property("blessed") == 0
    assert (Path(blessing.uri) / "INFRA_NOT_BLESSED").is_file()
    check = json.loads((Path(blessing.uri) / "infra_check.json").read_text())
    assert not check["passed"]
    assert check["reason"] == blessing.get_string_custom_property("reason")
    assert "output 'scores' holds nan" in check["reason"]


def test_a_check_without_verdict_raises_and_writes_nothing(validate: Validate, tmp_path: Path) -> None:
    with pytest.raises(InfraValidationError, match=r"gave no answer within 0\.2 s of processor time") as caught:
        validate(timeout_seconds=0.2)
    assert caught.value.exit_code == 5
    with pytest.raises(InfraValidationError, match=r"Allowed: 1 MiB"):
        validate(memory_limit_mib=1)
    assert not (tmp_path / "blessing").exists()


def test_a_test_split_is_needed(validate: Validate) -> None:
    with pytest.raises(DataError, match=r"has no 'test' split to ask the model with"):
        validate(split="train")


def test_the_node_has_the_declared_channels() -> None:
    node = InfraValidator(
        model=Channel(type=standard_artifacts.Model), examples=Channel(type=standard_artifacts.Examples)
    )
    assert node.id == "InfraValidator"
    assert node.outputs["blessing"].type is standard_artifacts.InfraBlessing
    assert node.exec_properties == {"timeout_seconds": 300.0, "memory_limit_mib": 0, "code": ""}
