"""Requests that wait at the same time are answered by one call of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from serving.loaded_model import Arrays
from serving.server.served_model import ServedModel
from settings.errors import ShortlistError

MAX_ROWS = 64
# One value a user, and lists of any length.
_ROWS, _LISTS = ("user_id", "context"), ("history", "exclude", "filter")


class OverloadedError(ShortlistError):
    """More requests wait than may."""


@dataclass(frozen=True)
class _Waiting:
    inputs: Arrays
    num_rows: int
    k: int
    future: asyncio.Future[tuple[ServedModel, Arrays]]


class RecommendBatcher:
    """Joins `recommend` requests while the model is busy; nobody waits for company.

    Rows are independent of one another in the graph, and k is taken as large as the largest asked for and cut again, so
    every request gets the answer that it would have got alone.

    Args:
      current: returns the version to ask; all rows of a batch are answered by one.
      executor: runs the model.
      num_workers: calls of the model at a time.
      max_waiting: requests that may wait.
    """

    def __init__(
        self, current: Callable[[], ServedModel], executor: Executor, num_workers: int = 1, max_waiting: int = 512
    ) -> None:
        self._current = current
        self._executor = executor
        self._idle = num_workers
        self._max_waiting = max_waiting
        self._waiting: list[_Waiting] = []

    async def ask(self, inputs: Arrays) -> tuple[ServedModel, Arrays]:
        """Return the version that answered, and its outputs.

        Raises:
          OverloadedError: too many requests wait already.
        """
        if len(self._waiting) >= self._max_waiting:
            raise OverloadedError(f"{self._max_waiting} requests wait already. Try again in a second")
        num_rows = max((len(inputs[name]) for name in (*_ROWS, *_LISTS) if name in inputs), default=0)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(inputs, num_rows, int(inputs.get("k", 10)), future))
        if self._idle:
            self._idle -= 1
            task = asyncio.ensure_future(self._drain())
            future.add_done_callback(lambda _: task)  # kept until then
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = self._next_batch()
                served = self._current()
                try:
                    outputs = await self._call(served, merged(batch))
                except Exception:
                    # One of them is at fault, and that concerns nobody else.
                    for waiting in batch:
                        await self._answer_alone(served, waiting)
                    continue
                start = 0
                for waiting in batch:
                    rows = slice(start, start + waiting.num_rows)
                    start += waiting.num_rows
                    if not waiting.future.done():
                        waiting.future.set_result((served, _part(outputs, rows, waiting.k)))
        finally:
            self._idle += 1

    async def _answer_alone(self, served: ServedModel, waiting: _Waiting) -> None:
        try:
            answer = served, await self._call(served, waiting.inputs)
        except Exception as error:
            if not waiting.future.done():
                waiting.future.set_exception(error)
        else:
            if not waiting.future.done():
                waiting.future.set_result(answer)

    async def _call(self, served: ServedModel, inputs: Arrays) -> Arrays:
        return await asyncio.get_running_loop().run_in_executor(self._executor, _asked, served, inputs)

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


def _asked(served: ServedModel, inputs: Arrays) -> Arrays:
    return served.model.ask("recommend", **inputs)


def _part(outputs: Arrays, rows: slice, k: int) -> Arrays:
    return {name: values[rows, :k] if values.ndim == 2 else values[rows] for name, values in outputs.items()}
