from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from orchestration.canary import MANIFEST
from orchestration.command_line import main
from serving import version_store


@pytest.fixture
def output_root(tmp_path: Path) -> Path:
    """An output root that serves versions 3 and 4 of a model."""
    for number in (3, 4):
        model = tmp_path / f"model-{number}"
        (model / "variables").mkdir(parents=True)
        (model / "saved_model.pb").write_bytes(b"graph %d" % number)
        version_store.push(model, tmp_path / "output" / "serving" / "films", clock=lambda now=number: now)
    return tmp_path / "output"


def push(output_root: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["push", "--output-root", str(output_root), *arguments])
    return done.exit_code, done.output


def test_each_revision_serves_one_version_from_a_folder_of_its_own(output_root: Path) -> None:
    folders = {}
    for version, share in ((3, "100"), (4, "10"), (4, "10")):
        done = CliRunner().invoke(
            main, ["push", "--output-root", str(output_root), "--canary", share, "--version", str(version)]
        )
        assert done.exit_code == 0, done.output
        service = yaml.safe_load(done.stdout)
        assert service["spec"]["predictor"]["canaryTrafficPercent"] == int(share)
        place = service["spec"]["predictor"]["model"]["storageUri"]
        assert place == f"pvc://shortlist-runs/revisions/films/{version}"
        folder = output_root / place.removeprefix("pvc://shortlist-runs/")
        (only,) = version_store.versions(folder)
        assert (only.path / "saved_model.pb").read_bytes() == b"graph %d" % version
        folders[version] = folder
        # All but these two keys is as it is applied without a canary.
        plain = yaml.safe_load(MANIFEST.read_text())
        for record in (service, plain):
            del record["spec"]["predictor"]["canaryTrafficPercent"], record["spec"]["predictor"]["model"]["storageUri"]
        assert service == plain
    assert folders[3] != folders[4]
    # A canary is no push: what serves without a cluster stays.
    assert [version.number for version in version_store.versions(output_root / "serving" / "films")] == [3, 4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--canary", "0"), "--canary 0: expected 1 to 100 percent"),
        (("--canary", "101"), "--canary 101: expected 1 to 100 percent"),
        (("--canary", "10", "--version", "7"), "--version 7: is not in"),
    ],
)
def test_a_wrong_share_or_version_is_refused(output_root: Path, arguments: tuple[str, ...], words: str) -> None:
    code, told = push(output_root, *arguments)
    assert code == 2
    assert words in told
    assert not (output_root / "revisions").exists()


def test_a_tampered_version_is_not_sent_out(output_root: Path) -> None:
    (output_root / "serving" / "films" / "4" / "saved_model.pb").write_bytes(b"another graph")
    code, told = push(output_root, "--canary", "10")
    assert code != 0
    assert "was changed" in told
