"""What goes between the server and the process of a version: pickled objects, each with its length before it."""

from __future__ import annotations

import asyncio
import pickle
import struct
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<Q")


def packed(value: Any) -> bytes:
    """Return a frame."""
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def read(stream: BinaryIO) -> Any:
    """Return the next object.

    Raises:
      EOFError: there is none, or half of one.

    Example:
      >>> import io
      >>> read(io.BytesIO(packed({"k": 10})))
      {'k': 10}
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return pickle.loads(content)


async def receive(stream: asyncio.StreamReader) -> Any:
    """Return the next object.

    Raises:
      EOFError: there is none, or half of one.
    """
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        content = await stream.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        raise EOFError from None
    return pickle.loads(content)
