"""Rows as serialized tf.Examples, a column at a time, with features in order of name: equal rows give equal bytes.

What a row's bytes are (field 1 of a message is tagged 0x0A, field 2 0x12, field 3 0x1A; sizes and whole numbers are
varints, 7 bits a byte):

    Example    0x0A size, then of each feature: 0x0A size, 0x0A size name, 0x12 size Feature
    Feature    0x0A size BytesList, 0x12 size FloatList or 0x1A size Int64List; nothing where the list is missing
    BytesList  of each value: 0x0A size value        others    0x0A size, then all values

TFX's own encoder lays features out in any order, and sorting them takes a second pass through Python objects.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
# Tags of the fields of a Feature.
_BYTES, _FLOATS, _INTS = b"\x0a", b"\x12", b"\x1a"
_MISSING = -1


def encode(rows: pa.RecordBatch) -> pa.LargeBinaryArray:
    r"""Return each row as a serialized tf.Example.

    Args:
      rows: columns of lists of texts, bytes, whole numbers or floats; None in a list is not allowed.

    Example:
      >>> encode(pa.RecordBatch.from_pydict({"a": [[b"x"]], "b": [[1, 300]]})).to_pylist()
      [b'\n\x1a\n\n\n\x01a\x12\x05\n\x03\n\x01x\n\x0c\n\x01b\x12\x07\x1a\x05\n\x03\x01\xac\x02']
    """
    parts: list[pa.LargeBinaryArray] = []
    for name in sorted(rows.schema.names):
        parts += _feature(name.encode(), rows[name])
    sizes = sum(pc.binary_length(part).to_numpy() for part in parts)
    return _joined(_each(pa.array(sizes), lambda size: _field(b"\x0a", size)), *parts)


def _feature(name: bytes, lists: pa.Array) -> tuple[pa.LargeBinaryArray, pa.LargeBinaryArray]:
    """Return a column's entry in each row, as what stands before the values and the values."""
    kind = lists.type.value_type
    values = lists.flatten()
    offsets = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())])
    if pa.types.is_floating(kind):
        tag, data, ends = _FLOATS, pc.cast(values, pa.float32()).to_numpy(), 4 * offsets
    elif pa.types.is_integer(kind):
        tag, (data, places) = _INTS, _varints(pc.cast(values, pa.int64()).to_numpy())
        ends = places[offsets]
    else:
        different = values.dictionary_encode()
        texts = pc.cast(different.dictionary, pa.large_binary())
        before_each = _each(pc.binary_length(texts), lambda size: _field(b"\x0a", size))
        framed = _joined(before_each, texts).take(different.indices)
        tag, data, ends = _BYTES, framed.buffers()[2], np.frombuffer(framed.buffers()[1], np.int64)[offsets]
    bodies = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(lists), [None, pa.py_buffer(np.ascontiguousarray(ends)), pa.py_buffer(data)]
    )

    def before(size: int) -> bytes:
        packed = _field(b"\x0a", size) if tag != _BYTES and size > 0 else b""
        of_list = b"" if size == _MISSING else _field(tag, len(packed) + size) + packed
        size = max(size, 0)
        entry = _field(b"\x0a", len(name)) + name + _field(b"\x12", len(of_list) + size) + of_list
        return _field(b"\x0a", len(entry) + size) + entry

    return _each(pa.array(np.where(lists.is_valid(), np.diff(ends), _MISSING)), before), bodies


def _field(tag: bytes, size: int) -> bytes:
    """Return what stands before the bytes of a message's field."""
    text = bytearray(tag)
    while size > 0x7F:
        text.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*text, size])


def _varints(values: Ints) -> tuple[NDArray[np.uint8], Ints]:
    """Return the numbers as varints, one behind the other, and where each begins and the last ends."""
    shifted = values.view(np.uint64)[:, np.newaxis] >> np.arange(0, 70, 7, dtype=np.uint64)  # (num_values, 10)
    shifted[:, 9] = values < 0  # the tenth has the sign alone
    sizes = np.maximum((shifted > 0).sum(axis=1), 1)[:, np.newaxis]
    place = np.arange(10)
    parts = (shifted & np.uint64(0x7F) | np.where(place < sizes - 1, np.uint64(0x80), np.uint64(0))).astype(np.uint8)
    return parts[place < sizes], np.concatenate([[0], np.cumsum(sizes)])


def _each(sizes: pa.Int64Array, text: Callable[[int], bytes]) -> pa.LargeBinaryArray:
    """Return a text made of each size; there are few different ones."""
    different = sizes.dictionary_encode()
    texts = [text(size) for size in different.dictionary.to_pylist()]
    return pa.array(texts, pa.large_binary()).take(different.indices)


def _joined(*parts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))
