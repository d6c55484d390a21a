from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import durable_files, version_store
from serving.version_store import LARGEST_VERSION, latest, push, rollback, verify, versions
from settings.errors import ShortlistError
from tests.serving.push_process import KILLED

SCRIPT = Path(__file__).with_name("push_process.py")


def save_model(folder: Path, weights: bytes = b"weights") -> Path:
    """Write what looks like a SavedModel: nested files and an empty folder."""
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(weights)
    (folder / "variables" / "variables.index").write_bytes(b"")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    """Return models a, b, c and d, each other weights."""

    class Models(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            self[name] = save_model(tmp_path / "models" / name, name.encode())
            return self[name]

    return Models()  # type: ignore[return-value]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "movies"


def at(seconds: float) -> Any:
    return lambda: seconds


def numbers(root: Path) -> list[int]:
    return [version.number for version in versions(root)]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def seen_by_a_server(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name.isdigit())


def run_push(model: Path, root: Path, keep: int = 5, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, str(SCRIPT), str(model), str(root), str(keep), str(kill_at)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


def test_a_push_copies_the_model_and_writes_its_manifest(models: Any, root: Path) -> None:
    version = push(models["a"], root, model_uri="artifacts/Trainer/model/6", run_id="run-1", clock=at(1_700_000_000.9))

    assert (version.number, version.path, version.created) == (1_700_000_000, root / "1700000000", True)
    pushed = tree(version.path)
    manifest = json.loads(pushed.pop("manifest.json"))
    assert pushed == tree(models["a"])
    assert (version.path / "assets").is_dir()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in pushed.items()}
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    assert manifest == {
        "version": 1_700_000_000,
        "files": hashes,
        "digest": hashlib.sha256(lines.encode()).hexdigest(),
        "model_uri": "artifacts/Trainer/model/6",
        "pushed_at": "2023-11-14T22:13:20+00:00",
        "run_id": "run-1",
    }
    assert verify(version).digest == manifest["digest"]
    assert latest(root) == version_store.Version(version.number, version.path, created=False)
    assert sorted(path.name for path in root.iterdir()) == [".lock", "1700000000"]


def test_files_are_as_readable_for_the_server_as_any_other(models: Any, root: Path) -> None:
    (models["a"] / "saved_model.pb").chmod(0o600)
    mask = os.umask(0o022)
    try:
        path = push(models["a"], root).path
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o755
    assert (path / "saved_model.pb").stat().st_mode & 0o777 == 0o644


def test_versions_increase_under_any_clock(models: Any, root: Path) -> None:
    assert push(models["a"], root, clock=at(1000)).number == 1000
    assert push(models["b"], root, clock=at(1000)).number == 1001  # the same second
    assert push(models["c"], root, clock=at(10)).number == 1002  # back
    assert push(models["d"], root, clock=at(5000)).number == 5000


def test_folders_of_others_count_for_the_number_and_are_never_removed(models: Any, root: Path) -> None:
    (root / "7000").mkdir(parents=True)  # without a manifest: a half copy of another program
    (root / "008000").write_text("a file")
    (root / "candidate").mkdir()
    (root / ("9" * 30)).mkdir()  # no server reads that as a version
    for name in "abc":
        push(models[name], root, keep=1, clock=at(10))
    assert numbers(root) == [7000, 8003]
    assert {path.name for path in root.iterdir()} == {".lock", "7000", "008000", "candidate", "9" * 30, "8003"}


def test_there_is_a_greatest_version(models: Any, root: Path) -> None:
    (root / str(LARGEST_VERSION)).mkdir(parents=True)
    with pytest.raises(ShortlistError, match=f"holds version {LARGEST_VERSION}, the greatest there can be"):
        push(models["a"], root)


def test_the_same_model_is_not_pushed_twice(models: Any, root: Path) -> None:
    first = push(models["a"], root, keep=3)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    copy = save_model(root.parent / "copy", b"a")
    again = push(copy, root, keep=1)
    assert (again.number, again.created) == (first.number, False)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before

    push(models["b"], root)
    assert push(models["a"], root).created  # in the store, but not the newest
    assert len(versions(root)) == 3


def test_a_damaged_newest_version_is_pushed_anew(models: Any, root: Path) -> None:
    first = push(models["a"], root)
    (first.path / "variables" / "variables.index").write_bytes(b"x")
    second = push(models["a"], root)
    assert second.created
    assert second.number > first.number
    assert verify(second)


def test_the_last_n_versions_stay(models: Any, root: Path) -> None:
    for second, name in enumerate("abcdef", start=1):
        push(models[name], root, keep=3, clock=at(second))
        assert numbers(root) == [n for n in range(1, second + 1) if n > second - 3]
    assert all(verify(version) for version in versions(root))
    with pytest.raises(ShortlistError, match=r"keep: should be at least 1. Received: 0"):
        push(models["a"], root, keep=0)


def test_an_old_version_disappears_as_a_whole(models: Any, root: Path) -> None:
    push(models["a"], root, clock=at(1))
    complete = tree(root / "1")
    states = []

    def look(step: str) -> None:
        states.append(tree(root / "1") if (root / "1").exists() else None)

    push(models["b"], root, keep=1, clock=at(2), on_step=look)
    assert complete in states
    assert None in states
    assert all(state is None or state == complete for state in states)


def test_a_push_that_is_killed_anywhere_leaves_no_half_version(models: Any, tmp_path: Path) -> None:
    big = save_model(tmp_path / "big", os.urandom(2 * durable_files.CHUNK_BYTES + 1))
    reference = tmp_path / "reference"
    for name in "ab":
        push(models[name], reference, keep=2)
    steps = json.loads(run_push(big, reference, keep=2).stdout)["steps"]
    wrote = [step for step in steps if step.endswith("of variables.data-00000-of-00001")]
    assert wrote == [f"wrote {size} bytes of variables.data-00000-of-00001" for size in (2**20, 2**20, 1)]
    assert len(steps) > 25

    seen = set()
    for kill_at in range(1, len(steps) + 1):
        root = tmp_path / f"root-{kill_at}"
        first, second = push(models["a"], root, keep=2), push(models["b"], root, keep=2)
        killed = run_push(big, root, keep=2, kill_at=kill_at)
        assert killed.returncode == KILLED, killed.stderr
        assert [str(version.number) for version in versions(root)] == seen_by_a_server(root)
        assert all(verify(version) for version in versions(root))
        visible = numbers(root)
        published = visible[-1] > second.number
        assert second.number in visible
        assert published or visible == [first.number, second.number]
        seen.add((len(visible), published))

        again = push(big, root, keep=2)
        assert again.created is not published
        assert verify(again).files["saved_model.pb"] == hashlib.sha256(b"graph").hexdigest()
        assert (
            tree(again.path)["variables/variables.data-00000-of-00001"]
            == tree(big)["variables/variables.data-00000-of-00001"]
        )
        assert not list(root.glob(".staging-*"))
    # Killed before the rename, after it, and after the oldest version was hidden.
    assert seen == {(2, False), (3, True), (2, True)}


def test_a_first_push_that_is_killed_can_be_repeated(models: Any, tmp_path: Path) -> None:
    steps = json.loads(run_push(models["a"], tmp_path / "reference").stdout)["steps"]
    for kill_at in range(1, len(steps) + 1, 4):
        root = tmp_path / "deep" / str(kill_at)
        assert run_push(models["a"], root, kill_at=kill_at).returncode == KILLED
        assert verify(push(models["a"], root))
        assert len(versions(root)) == 1


def test_everything_is_on_the_disk_before_it_is_visible(
    models: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir(parents=True)
    events: list[Path] = []
    fsync, rename = os.fsync, os.rename
    staged: list[set[Path]] = []

    def recorded_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    def recorded_rename(source: Path, target: Path) -> None:
        staged.append(set(events))
        assert {source, *source.rglob("*")} <= set(events)
        events.clear()
        rename(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    push(models["a"], root)
    assert len(staged) == 1
    assert events == [root]


def test_two_processes_that_push_at_once_both_get_a_version(models: Any, root: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(models[name]), str(root), "9", "0"], stdout=subprocess.PIPE, text=True
        )
        for name in "abcd"
    ]
    results = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert all(result["created"] for result in results)
    assert sorted(result["number"] for result in results) == numbers(root)
    assert len(set(numbers(root))) == 4
    assert {verify(version).model_uri for version in versions(root)} == {str(models[name]) for name in "abcd"}


def test_a_second_writer_waits_and_then_says_so(models: Any, root: Path) -> None:
    in_the_middle, go_on = threading.Event(), threading.Event()

    def wait(step: str) -> None:
        in_the_middle.set()
        assert go_on.wait(timeout=30)

    writer = threading.Thread(target=push, args=(models["a"], root), kwargs={"on_step": wait})
    root.mkdir(parents=True)  # so that the first step is one under the lock
    writer.start()
    assert in_the_middle.wait(timeout=30)
    with pytest.raises(ShortlistError, match=r"another push has been writing here for 0\.1 s\. Nothing was pushed"):
        push(models["b"], root, lock_timeout_seconds=0.1)
    with pytest.raises(ShortlistError, match="has no version to roll back from"):
        rollback(root, lock_timeout_seconds=0.1)
    go_on.set()
    writer.join(timeout=30)
    assert [verify(version).model_uri for version in versions(root)] == [str(models["a"])]


def test_a_push_that_fails_leaves_nothing_and_says_where(
    models: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(models["a"], root)
    before = tree(root)

    def full(step: str) -> None:
        if step.startswith("wrote"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ShortlistError, match=r"the push failed .*the disk is full.*that were served stay"):
        push(models["b"], root, on_step=full)
    assert tree(root) == before
    assert push(models["b"], root).created


def test_a_push_stands_where_old_versions_cannot_be_removed(
    models: Any, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    push(models["a"], root, clock=at(1))

    def refuse(step: str) -> None:
        if step == "hid 1":
            raise PermissionError(errno.EACCES, "Permission denied")

    assert push(models["b"], root, keep=1, clock=at(2), on_step=refuse).created
    assert numbers(root) == [2]
    assert "could not be removed" in caplog.text
    push(models["c"], root, keep=1, clock=at(3))
    assert sorted(path.name for path in root.iterdir()) == [".lock", "3"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda path: (path / "saved_model.pb").write_bytes(b"gravy"),
            rf"saved_model.pb: was changed. Found SHA-256 {hashlib.sha256(b'gravy').hexdigest()}. "
            rf"Expected SHA-256 {hashlib.sha256(b'graph').hexdigest()}",
        ),
        (
            lambda path: (path / "variables" / "variables.index").unlink(),
            rf"variables/variables.index: is missing. Expected SHA-256 {hashlib.sha256(b'').hexdigest()}",
        ),
        (lambda path: (path / "extra.so").write_bytes(b""), r"extra.so: is not listed in manifest.json"),
        (lambda path: (path / "manifest.json").unlink(), r"manifest.json: is missing"),
        (lambda path: (path / "manifest.json").write_text("{"), r"manifest.json: cannot be read as JSON"),
        (lambda path: (path / "manifest.json").write_text("{}"), r"manifest.json: is not a Shortlist manifest"),
        (lambda path: edit(path, files={"../../etc/passwd": "0"}), r"lists '../../etc/passwd', which lies outside"),
        (lambda path: edit(path, files={"/etc/passwd": "0"}), r"lists '/etc/passwd', which lies outside"),
        (lambda path: edit(path, version=7), r"speaks of version 7. Expected \d+"),
        (lambda path: edit(path, digest="0"), r"manifest.json: was changed. Found digest 0. Expected [0-9a-f]{64}"),
        (lambda path: edit(path, files=[]), r"is not a Shortlist manifest"),
        (lambda path: (path / "assets" / "link").symlink_to("/etc/passwd"), r"link: is a symbolic link to /etc/passwd"),
    ],
)
def test_a_damaged_version_is_refused_by_name(models: Any, root: Path, damage: Any, message: str) -> None:
    version = push(models["a"], root)
    damage(version.path)
    with pytest.raises(ShortlistError, match=message):
        verify(version)


def edit(path: Path, **changes: Any) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | changes))


def test_a_rollback_makes_the_previous_model_the_newest(models: Any, root: Path) -> None:
    for second, name in enumerate("abc", start=1):
        push(models[name], root, clock=at(second), model_uri=name)

    first = rollback(root, clock=at(0), run_id="undo")
    assert (first.number, first.created) == (4, True)
    manifest = verify(first)
    assert (manifest.model_uri, manifest.restored_from, manifest.run_id) == ("b", 2, "undo")
    assert tree(first.path).keys() == tree(root / "2").keys()
    assert manifest.files == verify(versions(root)[1]).files

    second = rollback(root, clock=at(0))
    assert (second.number, verify(second).model_uri, verify(second).restored_from) == (5, "a", 1)
    with pytest.raises(ShortlistError, match="has no good version before 1 to roll back to"):
        rollback(root)
    assert numbers(root) == [1, 2, 3, 4, 5]

    push(models["d"], root, model_uri="d", clock=at(0))
    assert verify(rollback(root, clock=at(0))).model_uri == "a"  # what was served before d
    with pytest.raises(ShortlistError, match="has no good version before 1"):
        rollback(root)


def test_a_rollback_passes_over_damaged_versions_and_leaves_a_damaged_newest(models: Any, root: Path) -> None:
    for second, name in enumerate("abc", start=1):
        push(models[name], root, clock=at(second), model_uri=name)
    (root / "2" / "saved_model.pb").write_bytes(b"")
    (root / "3" / "manifest.json").unlink()
    assert verify(rollback(root)).model_uri == "a"


def test_a_rollback_of_a_damaged_copy_brings_its_original_back(models: Any, root: Path) -> None:
    for second, name in enumerate("ab", start=1):
        push(models[name], root, clock=at(second), model_uri=name)
    copy = rollback(root, clock=at(0))
    (copy.path / "saved_model.pb").write_bytes(b"")
    repaired = rollback(root, clock=at(0))
    assert (repaired.number, verify(repaired).model_uri, verify(repaired).restored_from) == (4, "a", 1)


def test_a_rollback_needs_another_model(models: Any, root: Path) -> None:
    with pytest.raises(ShortlistError, match="has no version to roll back from"):
        rollback(root)
    assert not root.exists()
    first = push(models["a"], root)
    with pytest.raises(ShortlistError, match="has no good version before"):
        rollback(root)
    (first.path / "saved_model.pb").write_bytes(b"")
    push(models["a"], root)
    with pytest.raises(ShortlistError, match=r"saved_model.pb: was changed"):
        rollback(root)
    assert len(versions(root)) == 2


def test_a_rollback_that_is_stopped_can_be_repeated(models: Any, root: Path) -> None:
    for name in "ab":
        push(models[name], root, model_uri=name)
    steps: list[str] = []

    class StoppedError(BaseException):
        pass

    def stop(step: str) -> None:
        steps.append(step)
        if step == "synced manifest.json":
            raise StoppedError

    with pytest.raises(StoppedError):
        rollback(root, on_step=stop)
    assert len(versions(root)) == 2
    assert verify(rollback(root)).model_uri == "a"


def test_what_is_no_model_of_its_own_is_refused(models: Any, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ShortlistError, match=r"absent: is no SavedModel. Expected a folder with saved_model.pb"):
        push(tmp_path / "absent", root)
    (models["a"] / "assets" / "tokens").symlink_to("/etc/hostname")
    with pytest.raises(ShortlistError, match="tokens: is a symbolic link to /etc/hostname"):
        push(models["a"], root)
    (models["b"] / "assets.extra").symlink_to(tmp_path)
    with pytest.raises(ShortlistError, match=r"assets.extra: is a symbolic link"):
        push(models["b"], root)
    os.mkfifo(models["c"] / "pipe")
    with pytest.raises(ShortlistError, match="pipe: is neither a file nor a folder"):
        push(models["c"], root)
    with pytest.raises(ShortlistError, match=r"lies inside of the model"):
        push(models["d"], models["d"] / "serving")
    (models["d"] / "manifest.json").write_text("{}")
    with pytest.raises(ShortlistError, match="has the name that a push writes itself"):
        push(models["d"], root)
    assert not root.exists()


def test_a_root_that_cannot_be_one_is_refused(models: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShortlistError, match=r"file: is a file. Expected the folder of the served versions"):
        push(models["a"], tmp_path / "file")
    with pytest.raises(ShortlistError, match=r"below: the push failed .*Not a directory"):
        push(models["a"], tmp_path / "file" / "below")
    with pytest.raises(ShortlistError, match=r"gs://bucket/serving: is not on a file system"):
        push(models["a"], "gs://bucket/serving")


def test_a_link_is_no_version(models: Any, root: Path, tmp_path: Path) -> None:
    assert versions(root) == []
    assert latest(root) is None
    version = push(models["a"], root)
    (root / "9999999999").symlink_to(version.path)
    assert latest(root) == version_store.Version(version.number, version.path)
