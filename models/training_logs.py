"""Losses and step sizes as TensorBoard reads them."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


class TrainingLogs:
    """Writes the record of each epoch below `train` and `eval`, so that the curves of one quantity share a chart.

    Args:
      folder: for `tensorboard --logdir`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def epoch(self, record: Mapping[str, float]) -> None:
        """Write one epoch: `val_loss` as the loss of `eval`, everything else as `train`."""
        for name, value in record.items():
            if name == "epoch":
                continue
            with self._writer("eval" if name.startswith("val_") else "train").as_default():
                tf.summary.scalar(name.removeprefix("val_"), value, step=int(record["epoch"]))

    def close(self) -> None:
        """Bring everything to disk."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, split: str) -> tf.summary.SummaryWriter:
        if split not in self._writers:
            self._writers[split] = tf.summary.create_file_writer(f"{self._folder}/{split}")
        return self._writers[split]
