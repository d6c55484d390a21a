"""One real Transform pass over a few rows in memory."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from transforms.preprocessing import preprocessing_fn

Row = dict[str, list[Any]]


def transform_rows(
    rows: list[Row], types: dict[str, tf.DType], records: list[dict[str, Any]], folder: Path
) -> tuple[dict[str, np.ndarray], Path]:
    """Return the transformed rows, column by column, and the folder of what Transform wrote."""
    transformed = write_transform(rows, types, {"features": json.dumps(records)}, folder / "output")
    return {name: np.array([row[name] for row in transformed]) for name in transformed[0]}, folder / "output"


def write_transform(
    rows: list[Row], types: dict[str, tf.DType], custom_config: dict[str, Any], output: Path
) -> list[dict[str, Any]]:
    """Write what Transform learns to a folder; return the transformed rows."""
    metadata = tft.DatasetMetadata.from_feature_spec({name: tf.io.VarLenFeature(kind) for name, kind in types.items()})
    with tempfile.TemporaryDirectory() as temp:
        with (
            beam.Pipeline(runner="FnApiRunner") as pipeline,
            # Small batches: what is learnt must come from all of them.
            tft_beam.Context(temp_dir=temp, desired_batch_size=50),
        ):
            (transformed, _), transform_fn = (pipeline | beam.Create(rows), metadata) | (
                tft_beam.AnalyzeAndTransformDataset(functools.partial(preprocessing_fn, custom_config=custom_config))
            )
            _ = transform_fn | tft_beam.WriteTransformFn(str(output))
            _ = transformed | beam.combiners.ToList() | beam.Map(_write_json, Path(temp, "rows.json"))
        return json.loads(Path(temp, "rows.json").read_text())


def _write_json(rows: list[dict[str, Any]], path: Path) -> None:
    path.write_text(json.dumps([{name: np.asarray(value).tolist() for name, value in row.items()} for row in rows]))
