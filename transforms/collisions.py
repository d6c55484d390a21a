"""How many tokens share an id, where ids are hashes: counted in the full pass, read by who reports it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tensorflow_transform.beam.experimental import PTransformAnalyzer

from settings.features import FeatureRecord, HashedFeature

if TYPE_CHECKING:
    from tensorflow_transform import TFTransformOutput


def collision_file(name: str) -> str:
    """Return the asset name of a feature's counts."""
    return f"{name}_collisions"


def collision_rates(records: Sequence[FeatureRecord], tft_output: TFTransformOutput) -> dict[str, float]:
    """Return for each hashed feature the share of train's distinct tokens that share their id with another token."""
    rates = {}
    for record in records:
        if isinstance(record, HashedFeature):
            path = tft_output.vocabulary_file_by_name(collision_file(record.name))
            with tf.io.gfile.GFile(path) as file:
                counts = json.load(file)
            rates[record.name] = counts["sharing"] / max(counts["tokens"], 1)
    return rates


class WriteCollisions(PTransformAnalyzer):
    """Write how many distinct tokens there are, and how many of them share their id, as one JSON object.

    Input: batches, each a tuple of a string array and an int array `(batch_size,)`; empty tokens are left out. Output:
    one collection of one element, the path of the file.
    """

    def __init__(self, name: str):
        super().__init__()
        self._name = name

    def expand(self, batches: beam.PCollection) -> tuple[beam.PCollection]:
        """Apply to a collection of batches."""
        path = (
            batches
            | "DistinctInBatches" >> beam.FlatMap(_distinct)
            | "Distinct" >> beam.Distinct()
            | "PerId" >> beam.combiners.Count.PerKey()
            | "Sizes" >> beam.Values()
            | "Collect" >> beam.combiners.ToList()
            | "Write" >> beam.Map(_write, self._name, self.base_temp_dir)
        )
        return (path,)


def _distinct(batch: tuple[np.ndarray, np.ndarray]) -> Iterator[tuple[int, bytes]]:
    return iter({(int(number), token) for token, number in zip(*batch, strict=True) if token != b""})


def _write(tokens_per_id: Iterable[int], name: str, folder: str) -> np.ndarray:
    sizes = list(tokens_per_id)
    counts = {"tokens": sum(sizes), "sharing": sum(size for size in sizes if size > 1)}
    tf.io.gfile.makedirs(folder)
    path = str(PurePosixPath(folder) / collision_file(name))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(counts))
    return np.array(path, dtype=object)
