"""One real Transform pass over a few rows in memory."""

from __future__ import annotations

import functools
import json
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
    metadata = tft.DatasetMetadata.from_feature_spec({name: tf.io.VarLenFeature(kind) for name, kind in types.items()})
    with (
        beam.Pipeline(runner="FnApiRunner") as pipeline,
        # Small batches: what is learnt must come from all of them.
        tft_beam.Context(temp_dir=str(folder / "temp"), desired_batch_size=50),
    ):
        data = pipeline | beam.Create(rows)
        (transformed, _), transform_fn = (data, metadata) | tft_beam.AnalyzeAndTransformDataset(
            functools.partial(preprocessing_fn, custom_config={"features": json.dumps(records)})
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "output"))
        _ = transformed | beam.combiners.ToList() | beam.Map(_write_json, folder / "rows.json")
    outputs = json.loads((folder / "rows.json").read_text())
    return {name: np.array([row[name] for row in outputs]) for name in outputs[0]}, folder / "output"


def _write_json(rows: list[dict[str, Any]], path: Path) -> None:
    path.write_text(json.dumps([{name: np.asarray(value).tolist() for name, value in row.items()} for row in rows]))
