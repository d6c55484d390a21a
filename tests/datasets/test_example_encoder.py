from __future__ import annotations

import pyarrow as pa
import pytest
import tensorflow as tf
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from datasets.example_encoder import encode

ROWS = pa.RecordBatch.from_pydict(
    {
        "texts": pa.array([["x", "", "\u00e9" * 100], [], None, ["x" * 20_000]], pa.list_(pa.binary())),
        "numbers": pa.array([[0, -1, 127, 128], [], None, [2**63 - 1, -(2**63)]], pa.list_(pa.int64())),
        "floats": pa.array([[1.5, -0.0], [], None, [float("nan")] * 40], pa.list_(pa.float32())),
        "a name of more than 127 bytes" * 5: pa.array([[7], [8], [9], None], pa.list_(pa.int64())),
    }
)


@pytest.mark.parametrize("rows", [ROWS, ROWS.slice(1, 2), ROWS.slice(3), ROWS.slice(0, 0)])
def test_the_bytes_are_those_of_protobuf_in_order_of_name(rows: pa.RecordBatch) -> None:
    expected = [
        tf.train.Example.FromString(example).SerializeToString(deterministic=True)
        for example in RecordBatchToExamplesEncoder().encode(rows)
    ]
    assert encode(rows).to_pylist() == expected


def test_other_types_are_written_as_the_nearest_that_examples_have() -> None:
    rows = pa.RecordBatch.from_pydict(
        {
            "double": pa.array([[0.5]], pa.list_(pa.float64())),
            "large": pa.array([["x"]], pa.large_list(pa.large_string())),
            "short": pa.array([[-3]], pa.list_(pa.int16())),
        }
    )
    example = tf.train.Example.FromString(encode(rows)[0].as_py())
    assert example == tf.train.Example(
        features=tf.train.Features(
            feature={
                "double": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
                "large": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"])),
                "short": tf.train.Feature(int64_list=tf.train.Int64List(value=[-3])),
            }
        )
    )
