"""What the test split itself decides about slices: where quantiles lie, and which of many values become slices."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from datasets import columns
from evaluation.slices import HOUR_OF_DAY, bucket_names, hours_of_day, kept_values, quantile_boundaries
from settings.errors import ConfigError
from settings.evaluation import EvaluationSettings

_ROWS_A_READ = 8192


def discover(settings: EvaluationSettings, files: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the slices by feature, for those features whose slices depend on the data.

    Features with boundaries, and those with no more than `max_values` values, are left out.

    Args:
      settings: slices.
      files: gzipped TFRecords of the test split.

    Raises:
      ConfigError: quantiles are asked for of a column that holds no numbers, or all the same.
    """
    wanted = [slices for slices in settings.slices if not slices.boundaries]
    if not wanted:
        return {}
    cells: dict[str, list[list[bytes | int | float] | None]] = {slices.feature: [] for slices in wanted}
    for serialized in tf.data.TFRecordDataset(list(files), "GZIP").batch(_ROWS_A_READ).as_numpy_iterator():
        batch = ExamplesToRecordBatchDecoder().DecodeBatch(serialized.tolist())
        for name, values in cells.items():
            values += cells_of(batch, name)
    found = {}
    for slices in wanted:
        column = cells[slices.feature]
        if not slices.quantiles:
            names = kept_values(column, slices.max_values)
        else:
            numbers = [value for cell in column for value in cell or () if not isinstance(value, bytes)]
            boundaries = quantile_boundaries(numbers, slices.quantiles)
            if column and not boundaries:
                raise ConfigError(
                    f"evaluation.slices: {slices.feature!r} cannot be cut into {slices.quantiles} buckets: it holds "
                    f"{len(set(numbers))} different numbers in the test split. Expected a numeric column"
                )
            names = bucket_names(boundaries) if boundaries else None
        if names is not None:
            found[slices.feature] = names
    return found


def cells_of(batch: pa.RecordBatch, name: str) -> list[list[bytes | int | float] | None]:
    """Return the values of each row of a raw or computed column; None where a row has none."""
    source = columns.TIMESTAMP if name == HOUR_OF_DAY else name
    if source not in batch.schema.names:
        return [None] * batch.num_rows
    cells = batch.column(source).to_pylist()
    return hours_of_day(cells) if name == HOUR_OF_DAY else cells
