"""Where a training stands, on disk: what a killed run goes on from."""

from __future__ import annotations

import io
import json
import logging
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_LOG = logging.getLogger(__name__)
_FILE = "training.npz"
_POSITION = "position"


@dataclass
class Position:
    """How far a training came, beside its weights.

    Attributes:
      epoch: the epoch under way, from 1.
      step: steps taken in it.
      totals: loss and divisor summed over these steps.
      epochs: the records of the epochs that ended.
      best: lowest eval loss so far.
      best_epoch: its epoch; 0: none.
      seconds: spent training in the epoch under way.
    """

    epoch: int = 1
    step: int = 0
    totals: tuple[float, float] = (0.0, 0.0)
    epochs: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0

    def begin(self, epoch: int) -> None:
        """Stand at the beginning of an epoch."""
        self.epoch, self.step, self.totals, self.seconds = epoch, 0, (0.0, 0.0), 0.0


class Checkpoints:
    """Saves a training every so often, as one file that appears complete or not at all.

    Args:
      folder: of the file; on any file system that TensorFlow reads.
      minutes: time between two saves.
      writes: False for workers that only read.
    """

    def __init__(self, folder: str, minutes: float, writes: bool = True) -> None:
        self._folder = folder
        self._path = f"{folder}/{_FILE}"
        self._seconds = 60.0 * minutes
        self._writes = writes
        self._saved = time.monotonic()

    def is_due(self) -> bool:
        """Return whether it is time to save."""
        return self._writes and time.monotonic() - self._saved >= self._seconds

    def save(self, position: Position, variables: Sequence[Any], best_weights: Sequence[np.ndarray] | None) -> None:
        """Write where the training stands.

        Args:
          position: how far it came.
          variables: of model, optimizer and random numbers, always in the same order.
          best_weights: of the model, in the best epoch.
        """
        arrays: dict[str, Any] = {_POSITION: np.array(json.dumps(asdict(position)))}
        arrays |= {f"variable_{number}": _stored(variable.numpy()) for number, variable in enumerate(variables)}
        arrays |= {f"best_{number}": _stored(values) for number, values in enumerate(best_weights or ())}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        tf.io.gfile.makedirs(self._folder)
        staged = f"{self._path}.new"
        with tf.io.gfile.GFile(staged, "wb") as file:
            file.write(buffer.getvalue())
        tf.io.gfile.rename(staged, self._path, overwrite=True)
        self._saved = time.monotonic()

    def restore(self, variables: Sequence[Any]) -> tuple[Position, list[np.ndarray] | None] | None:
        """Put the saved values into the variables.

        Returns:
          the position and the best weights; None where nothing was saved, or what was saved does not fit.
        """
        if not tf.io.gfile.exists(self._path):
            return None
        try:
            with tf.io.gfile.GFile(self._path, "rb") as file, np.load(io.BytesIO(file.read())) as saved:
                arrays = {name: saved[name] for name in saved.files}
            position = json.loads(str(arrays.pop(_POSITION)))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _LOG.warning("%s cannot be read (%s): training starts from the beginning", self._path, error)
            return None
        values = [arrays.get(f"variable_{number}") for number in range(len(variables))]
        shapes = [None if array is None else array.shape for array in values]
        if shapes != [tuple(variable.shape) for variable in variables]:
            _LOG.warning("%s is of another model: training starts from the beginning", self._path)
            return None
        for variable, array in zip(variables, values, strict=True):
            variable.assign(array)
        num_best = sum(name.startswith("best_") for name in arrays)
        best = [arrays[f"best_{number}"] for number in range(num_best)] or None
        position["totals"] = tuple(position["totals"])
        return Position(**position), best

    def clear(self) -> None:
        """Remove what was saved: the training is over."""
        if self._writes and tf.io.gfile.exists(self._folder):
            tf.io.gfile.rmtree(self._folder)


def random_states(*owners: object) -> list[keras.Variable]:
    """Return the states of the random generators that are attributes of some objects, in the order of their names."""
    held = [value for owner in owners for _, value in sorted(vars(owner).items())]
    return [value.state for value in held if isinstance(value, keras.random.SeedGenerator)]


def _stored(values: np.ndarray) -> np.ndarray:
    """Return the values in a type that NumPy writes: bfloat16 is not one."""
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values
