"""Requests that wait at the same time are answered by one call of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serving.server.model_process import Arrays, ModelProcess, UnavailableError

MAX_ROWS = 64
# One value a user, and lists of any length.
_ROWS, _LISTS = ("user_id", "context"), ("history", "exclude", "filter")


class OverloadedError(UnavailableError):
    """More requests wait than may."""


@dataclass(frozen=True)
class _Waiting:
    inputs: Arrays
    num_rows: int
    k: int
    future: asyncio.Future[tuple[ModelProcess, Arrays]]


class RecommendBatcher:
    """Joins `recommend` requests while the model is busy; nobody waits for company.

    Rows are independent of one another in the graph, and k is taken as large as the largest asked for and cut again, so
    every request gets the answer that it would have got alone.

    Args:
      current: returns the version to ask; all rows of a batch are answered by one.
      max_waiting: requests that may wait.
    """

    def __init__(self, current: Callable[[], ModelProcess], max_waiting: int = 512) -> None:
        self._current = current
        self._max_waiting = max_waiting
        self._waiting: list[_Waiting] = []
        self._draining: asyncio.Task[None] | None = None

    async def ask(self, inputs: Arrays) -> tuple[ModelProcess, Arrays]:
        """Return the version that answered, and its outputs.

        Raises:
          OverloadedError: too many requests wait already.
        """
        if len(self._waiting) >= self._max_waiting:
            raise OverloadedError(f"{self._max_waiting} requests wait already. Try again in a second")
        num_rows = max((len(inputs[name]) for name in (*_ROWS, *_LISTS) if name in inputs), default=0)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(inputs, num_rows, int(inputs.get("k", 10)), future))
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = self._next_batch()
                if len(batch) == 1:
                    await self._answer_alone(batch[0])
                    continue
                served = self._current()
                try:
                    outputs = await served.ask("recommend", **merged(batch))
                except Exception:
                    # One of them is at fault, and that concerns nobody else.
                    for waiting in batch:
                        await self._answer_alone(waiting)
                    continue
                start = 0
                for waiting in batch:
                    rows = slice(start, start + waiting.num_rows)
                    start += waiting.num_rows
                    if not waiting.future.done():
                        waiting.future.set_result((served, _part(outputs, rows, waiting.k)))
        finally:
            self._draining = None

    async def _answer_alone(self, waiting: _Waiting) -> None:
        served = self._current()
        try:
            answer = served, await served.ask("recommend", **waiting.inputs)
        except Exception as error:
            if not waiting.future.done():
                waiting.future.set_exception(error)
        else:
            if not waiting.future.done():
                waiting.future.set_result(answer)

    def _next_batch(self) -> list[_Waiting]:
        batch = [self._waiting.pop(0)]
        num_rows = batch[0].num_rows
        while self._waiting and num_rows + self._waiting[0].num_rows <= MAX_ROWS:
            num_rows += self._waiting[0].num_rows
            batch.append(self._waiting.pop(0))
        return batch


def merged(batch: list[_Waiting]) -> Arrays:
    """Return several requests as one."""
    num_rows = sum(waiting.num_rows for waiting in batch)
    inputs: Arrays = {"k": np.int32(max(waiting.k for waiting in batch))}  # type: ignore[dict-item]
    for name in (*_ROWS, *_LISTS):
        parts = [waiting.inputs.get(name) for waiting in batch]
        if all(part is None or not part.size for part in parts):
            continue
        width = max(part.shape[1] for part in parts if part is not None) if name in _LISTS else 0
        whole = np.full((num_rows, width) if name in _LISTS else num_rows, b"", object)
        start = 0
        for waiting, part in zip(batch, parts, strict=True):
            if part is not None and part.size:
                place = slice(start, start + len(part))
                whole[(place, slice(part.shape[1])) if name in _LISTS else place] = part
            start += waiting.num_rows
        inputs[name] = whole
    if len(inputs) == 1:
        inputs["user_id"] = np.full(num_rows, b"", object)
    return inputs


def _part(outputs: Arrays, rows: slice, k: int) -> Arrays:
    return {name: values[rows, :k] if values.ndim == 2 else values[rows] for name, values in outputs.items()}
