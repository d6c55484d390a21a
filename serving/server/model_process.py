"""A version that answers in a process of its own.

So loading one disturbs the answers of another as little as any stranger's work, its memory is given back to the last
byte, and a model that dies takes no connection with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from serving.server import frames
from serving.server.model_worker import Failed, Loaded, Refused
from serving.version_store import Version
from settings.errors import RequestError, ShortlistError

Arrays = dict[str, np.ndarray]
_PROJECT = Path(__file__).resolve().parents[2]


class UnavailableError(ShortlistError):
    """Nothing is wrong with the request, but it cannot be answered now."""


class ModelProcess:
    """A running process with a loaded version; made by `start`.

    Attributes:
      number: of the version.
      path: its folder.
      inputs: by signature and input, `tf.TensorSpec`s.
      optional: by signature, inputs that may be left out.
      catalogue_size: number of items; None where the model does not tell.
      alive: whether it can be asked.
    """

    def __init__(self, version: Version, process: Process, loaded: Loaded) -> None:
        self.number, self.path = version.number, version.path
        self.inputs, self.optional = loaded.inputs, loaded.optional
        self.catalogue_size = loaded.catalogue_size
        self.alive = True
        self._process = process
        self._waiting: deque[asyncio.Future[Arrays]] = deque()
        self._retired = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, version: Version) -> ModelProcess:
        """Load a version, compared with its manifest, and ask it once.

        Raises:
          ShortlistError: it is damaged or does not load; says why.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "serving.server.model_worker", str(version.path.resolve()),
            stdin=PIPE, stdout=PIPE, cwd=_PROJECT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )  # fmt: skip
        assert process.stdout
        try:
            told = await frames.receive(process.stdout)
        except EOFError:
            raise ShortlistError(f"{version.path}: the process that loads it {await _end(process)}") from None
        except asyncio.CancelledError:
            process.kill()
            raise
        if isinstance(told, Refused):
            await process.wait()
            raise ShortlistError(told.reason)
        return cls(version, process, told)

    async def ask(self, signature: str, **inputs: Any) -> Arrays:
        """Return the outputs of a signature, by name.

        Raises:
          RequestError: the model cannot read the inputs.
          UnavailableError: the process has ended.
          RuntimeError: the model failed; the log says why.
        """
        if not self.alive:
            raise UnavailableError("the model is being started again. Try again in some seconds")
        answer: asyncio.Future[Arrays] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        assert self._process.stdin
        try:
            self._process.stdin.write(frames.packed((signature, inputs)))
            await self._process.stdin.drain()
        except ConnectionError:
            pass  # the reader sees the end, too, and answers
        return await answer

    def retire(self) -> None:
        """End the process after the requests under way."""
        self._retired = True
        if not self._waiting:
            self._close()

    async def ended(self) -> str:
        """Wait for the end; return how it ended, in words."""
        await self._reading
        return await _end(self._process)

    def _close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    async def _read(self) -> None:
        """Hand the answers, which come in the order of the requests, to those who wait."""
        assert self._process.stdout
        try:
            while True:
                told = await frames.receive(self._process.stdout)
                answer = self._waiting.popleft()
                if not answer.done():
                    if isinstance(told, Refused):
                        answer.set_exception(RequestError(told.reason))
                    elif isinstance(told, Failed):
                        answer.set_exception(RuntimeError("the model could not answer"))
                    else:
                        answer.set_result(told)
                if self._retired and not self._waiting:
                    self._close()
        except EOFError:
            self.alive = False
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(UnavailableError("the model's process ended. Try again in some seconds"))


async def _end(process: Process) -> str:
    """Wait for a process; return how it ended, in words."""
    status = await process.wait()
    if status >= 0:
        return f"ended with status {status}."
    hint = " Out of memory?" if -status == signal.SIGKILL else ""
    return f"was ended by signal {-status} ({signal.Signals(-status).name}).{hint}"
