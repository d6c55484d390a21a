from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from serving.isolated_check import check_in_fresh_process
from settings.errors import InfraValidationError
from tests.serving.tiny_servable import save, write_rows


def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Let a shell script be the interpreter of the check."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_a_model_that_answers_in_a_process_of_its_own_passes(tmp_path: Path) -> None:
    model, rows = save(tmp_path / "model"), write_rows(tmp_path)
    result = check_in_fresh_process(str(model), [rows])
    assert (result.passed, result.reason, len(result.checks)) == (True, "", 15)
    assert result.seconds > result.import_seconds > 0
    assert result.peak_memory_mib > 100


def test_time_is_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, f"echo loading the model; sleep 60 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(
        InfraValidationError, match=r"no answer within 1\.5 s, while loading the model\. Nothing was pushed"
    ):
        check_in_fresh_process("model", [], timeout_seconds=0.25)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)  # what it started ends with it


def test_what_computes_without_end_is_ended_and_what_waits_for_its_turn_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(monkeypatch, tmp_path, "echo loading the model; while :; do :; done")
    with pytest.raises(InfraValidationError, match=r"no answer within 0\.2 s of processor time, while loading"):
        check_in_fresh_process("model", [], timeout_seconds=0.2)
    stand_in(monkeypatch, tmp_path, "sleep 0.5; exit 3")
    with pytest.raises(InfraValidationError, match="ended with status 3"):
        check_in_fresh_process("model", [], timeout_seconds=0.2)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hungry = f"exec {sys.executable} -c \"import time; x = bytearray(b'x') * (150 << 20); time.sleep(60)\""
    stand_in(monkeypatch, tmp_path, f"echo loading the model; {hungry}")
    with pytest.raises(
        InfraValidationError, match=r"took \d+ MiB of memory\. Allowed: 100 MiB, while loading the model"
    ):
        check_in_fresh_process("model", [], memory_limit_mib=100)


def test_a_crash_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "echo \"asking signature 'evaluate', a batch of 1\"; kill -SEGV $$")
    with pytest.raises(
        InfraValidationError, match=r"died of signal 11 \(SIGSEGV\), while asking signature 'evaluate', a batch of 1\."
    ):
        check_in_fresh_process("model", [])


def test_an_end_without_verdict_shows_the_last_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in(monkeypatch, tmp_path, "echo first >&2; echo ImportError: no such library >&2; exit 3")
    with pytest.raises(
        InfraValidationError,
        match=r"ended with status 3 and no verdict, while starting Python\..* last line: ImportError: no such library",
    ):
        check_in_fresh_process("model", [])
    assert "first\nImportError" in caplog.text
    stand_in(monkeypatch, tmp_path, "exit 0")
    with pytest.raises(InfraValidationError, match="ended with status 0 and no verdict"):
        check_in_fresh_process("model", [])
