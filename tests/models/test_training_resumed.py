"""A training that is killed goes on from its checkpoint and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.checkpoints import Checkpoints, Position
from models.training import train
from settings.training import TrainingSettings
from tests.models.slow_training import trained
from tests.models.test_training import Slope, Squares

REPOSITORY = Path(__file__).resolve().parents[2]


def saved_position(path: Path) -> tuple[int, int]:
    """Return the epoch and the step of a checkpoint."""
    if not path.exists():
        return 0, 0
    with np.load(path) as saved:
        position = json.loads(str(saved["position"]))
    return position["epoch"], position["step"]


def test_a_training_that_was_killed_ends_with_the_same_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = tmp_path / "killed" / "training.npz"
    command = [sys.executable, "-m", "tests.models.slow_training", str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    began = time.monotonic()
    # In the middle of the third of six epochs, of eight steps each.
    while saved_position(saved) < (3, 2):
        assert process.poll() is None
        assert time.monotonic() - began < 300
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (3, 2) <= saved_position(saved) < (6, 8)
    expected = trained(str(tmp_path / "whole"))
    with caplog.at_level("INFO"):
        resumed = trained(str(tmp_path / "killed"))
    assert "training goes on in epoch" in caplog.text
    assert len(expected[0]) == 6
    for one, other in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_another_model_or_a_torn_one_is_left_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(str(tmp_path), minutes=0.0)
    model = Slope()
    checkpoints.save(Position(epoch=2), [model.slope], None)
    assert checkpoints.restore([model.slope, model.slope]) is None
    assert "another model" in caplog.text
    path = tmp_path / "training.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert checkpoints.restore([model.slope]) is None
    assert "cannot be read" in caplog.text
    checkpoints.clear()
    assert not tmp_path.exists()


def test_no_checkpoint_is_written_before_its_time(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=2, batch_size=8)
    train(Slope(), Squares(eval_slope=2.0), settings, checkpoints=Checkpoints(str(tmp_path / "c"), minutes=10.0))
    assert not (tmp_path / "c").exists()
