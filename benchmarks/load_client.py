"""A client that costs next to nothing: what it takes itself counts as the server's latency."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1.1 (\d+)")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class LoadClient:
    """Posts JSON to one address over as many connections as are needed at a time, each kept for the next request.

    Args:
      address: `http://HOST:PORT/PATH`; its answers have a Content-Length.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname
        assert parts.port
        self._host, self._port = parts.hostname, parts.port
        # KServe hands over the bytes of anything that is not named JSON.
        self._head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._idle: list[_Connection] = []

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.transport.close()

    async def failure(self, body: bytes) -> str:
        """Send a request; return what went wrong: a status or an error, or nothing."""
        try:
            connection = self._idle.pop() if self._idle else await self._connected()
            status = await connection.ask(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        except OSError as error:
            return type(error).__name__
        self._idle.append(connection)
        return "" if status == 200 else str(status)

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, self._host, self._port))[1]


class _Connection(asyncio.Protocol):
    """Asks one request at a time."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._received = b""

    async def ask(self, request: bytes) -> int:
        """Return the status of the answer, once all of it is there."""
        if self.transport.is_closing():
            raise ConnectionResetError
        self._answer, self._received = asyncio.get_running_loop().create_future(), b""
        self.transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status and length and len(body) >= int(length[1]) and not self._answer.done():
            self._answer.set_result(int(status[1]))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())
