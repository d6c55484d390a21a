"""TFRecord files of tf.Examples as a table: one row an example, every feature's first value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.quarantine import BadRow, Quarantine
from datasets.records import Records
from settings.errors import DataError

# Of each record: its length and two checksums.
_FRAME_BYTES = 16


def read_examples(path: Path, quarantine: Quarantine) -> Records:
    """Return the examples of a .tfrecord or .tfrecord.gz file; records that are no tf.Example are set aside.

    A feature with several values in any row becomes a list column.

    Raises:
      DataError: the file is missing, empty, cut short or damaged.
    """
    # Imported here: TensorFlow takes seconds, and other formats do without it.
    import tensorflow as tf
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    if not path.is_file():
        raise DataError(f"{path}: does not exist. Check data.source, or give --data-path")
    try:
        dataset = tf.data.TFRecordDataset(str(path), compression_type="GZIP" if path.suffix == ".gz" else "")
        serialized = list(dataset.as_numpy_iterator())
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise DataError(f"{path}: is not a whole TFRecord file ({error.message}). Transfer it again") from None
    # TensorFlow takes a file that ends inside a record's header for one that ends before it.
    if path.suffix != ".gz" and sum(map(len, serialized)) + _FRAME_BYTES * len(serialized) != path.stat().st_size:
        raise DataError(f"{path}: is not a whole TFRecord file (it ends inside a record). Transfer it again")
    if not serialized:
        raise DataError(f"{path}: holds no record. Expected at least one")
    decoder = ExamplesToRecordBatchDecoder()
    allowed = quarantine.allowed(len(serialized))
    bad = list(itertools.islice(_undecodable(decoder, serialized, 0), allowed + 1))
    quarantine.put([BadRow(str(path), row + 1, "is no tf.Example", unit="row") for row in bad], len(serialized))
    kept = [row for row in range(len(serialized)) if row not in set(bad)]
    batch = decoder.DecodeBatch([serialized[row] for row in kept])
    table = pa.table({name: _values(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)})
    return Records(str(path), table, None, quarantine, np.array(kept), len(serialized))


def _undecodable(decoder: Any, serialized: Sequence[bytes], start: int) -> Iterator[int]:
    """Yield the records, ascending, that the decoder refuses, by halving."""
    try:
        decoder.DecodeBatch(serialized)
    except (RuntimeError, ValueError):
        if len(serialized) == 1:
            yield start
            return
        middle = len(serialized) // 2
        yield from _undecodable(decoder, serialized[:middle], start)
        yield from _undecodable(decoder, serialized[middle:], start + middle)


def _values(column: pa.Array) -> pa.Array:
    """Return a column of lists as single values where no row has more than one."""
    if pa.types.is_null(column.type) or (pc.max(pc.list_value_length(column)).as_py() or 0) > 1:
        return column
    return pc.list_element(pc.if_else(pc.equal(pc.list_value_length(column), 0), None, column), 0)
