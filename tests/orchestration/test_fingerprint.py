from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.fingerprint import code_fingerprint, fingerprint_folders


def test_every_change_of_the_code_changes_the_hash_and_nothing_else_does(tmp_path: Path) -> None:
    room = tmp_path / "models" / "layers"
    room.mkdir(parents=True)
    (room / "a.py").write_text("a = 1\n")
    seen = {fingerprint_folders(tmp_path, "models")}

    (room / "notes.md").write_text("not code")
    (room / "__pycache__").mkdir()
    (room / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    (room / "a.py").touch()
    assert {fingerprint_folders(tmp_path, "models", "models")} == seen

    (room / "a.py").write_text("a = 2\n")
    seen.add(fingerprint_folders(tmp_path, "models"))
    (room / "a.py").rename(room / "b.py")
    seen.add(fingerprint_folders(tmp_path, "models"))
    (room / "c.py").write_text("")
    seen.add(fingerprint_folders(tmp_path, "models"))
    (room / "b.py").rename(tmp_path / "models" / "b.py")
    seen.add(fingerprint_folders(tmp_path, "models"))
    assert len(seen) == 5


def test_a_room_without_code_is_refused() -> None:
    with pytest.raises(ValueError, match="'modles'"):
        code_fingerprint("modles")


def test_rooms_of_the_repository_differ() -> None:
    assert code_fingerprint("settings") != code_fingerprint("models")
