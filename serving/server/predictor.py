"""What both protocols share: a checked request goes in, the answer of the newest version comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.server.batching import OverloadedError, RecommendBatcher
from serving.server.metrics import ServerMetrics
from serving.server.model_process import Arrays, ModelProcess, UnavailableError
from serving.server.model_watcher import ModelWatcher
from serving.server.request_log import RequestLog
from settings.errors import RequestError, ShortlistError

if TYPE_CHECKING:
    from serving.server.tensors import Specs


class NotFoundError(RequestError):
    """The model or version is not served here."""


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
      max_body_bytes: of a REST request.
      max_rows: users, items or examples.
      max_list_length: items of a history and the like; requests are joined, and one long list makes all others long.
      max_waiting: requests at a time; more are turned away.
    """

    max_body_bytes: int = 1 << 20
    max_rows: int = 1024
    max_list_length: int = 10_000
    max_waiting: int = 512


class Predictor:
    """Answers requests by signature.

    Args:
      name: of the model, in addresses.
      watcher: holds the version that answers.
      limits: what a request may ask for.
      metrics: counts.
      log: of requests; None: none is kept.
    """

    def __init__(
        self,
        name: str,
        watcher: ModelWatcher,
        limits: Limits,
        metrics: ServerMetrics,
        log: RequestLog | None = None,
    ) -> None:
        self.name = name
        self.watcher = watcher
        self.limits = limits
        self.metrics = metrics
        self._log = log
        self._batcher = RecommendBatcher(self.served, limits.max_waiting)
        self._under_way = 0

    def served(self, version: int | None = None, name: str | None = None) -> ModelProcess:
        """Return the version in memory.

        Raises:
          NotFoundError: another version or model is asked for.
        """
        current = self.watcher.current
        if name is not None and name != self.name:
            raise NotFoundError(f"model {name!r}: is not served here. Expected {self.name!r}")
        if current is None or (version is not None and version != current.number):
            found = current.number if current else "none"
            raise NotFoundError(f"version {version}: is not served. Served: {found}. Leave it out to get the newest")
        return current

    async def predict(
        self,
        protocol: str,
        signature: str,
        read: Callable[[Specs, Collection[str]], Arrays],
        version: int | None = None,
        name: str | None = None,
    ) -> tuple[ModelProcess, Arrays]:
        """Return the version that answered, and its outputs.

        Args:
          protocol: `rest` or `grpc`, for the metrics.
          signature: what is asked.
          read: makes the inputs, given the signature's specs and the names of those that may be left out.
          version: None: the newest.
          name: of the model; None: the one there is.

        Raises:
          RequestError: the request is wrong; says what was expected.
          OverloadedError: too many requests at a time.
        """
        started, code, counted = time.perf_counter(), "error", "unknown"
        try:
            served = self.served(version, name)
            specs = served.inputs.get(signature)
            if specs is None:
                raise RequestError(f"signature {signature!r}: is unknown. Expected one of {sorted(served.inputs)}")
            counted = signature
            inputs = read(specs, served.optional.get(signature, ()))
            self._check(inputs, served)
            answer = await self._answer(served, signature, inputs, pinned=version is not None)
            if signature == "recommend":
                for rung in answer[1]["rung"].tolist():
                    self.metrics.rungs.labels(rung.decode()).inc()
                if self._log:
                    self._log.write(answer[0].number, inputs, answer[1])
            code = "ok"
            return answer
        except UnavailableError as error:
            code = "overloaded" if isinstance(error, OverloadedError) else "unavailable"
            raise
        except ShortlistError:
            code = "refused"
            raise
        finally:
            self.metrics.requests.labels(protocol, counted, code).inc()
            self.metrics.seconds.labels(protocol, counted).observe(time.perf_counter() - started)

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._under_way:
            await asyncio.sleep(0.01)
        if self._log:
            self._log.close()

    async def _answer(
        self, served: ModelProcess, signature: str, inputs: Arrays, pinned: bool
    ) -> tuple[ModelProcess, Arrays]:
        if self._under_way >= self.limits.max_waiting:
            raise OverloadedError(f"{self.limits.max_waiting} requests are under way. Try again in a second")
        self._under_way += 1
        try:
            if signature == "recommend" and not pinned:
                return await self._batcher.ask(inputs)
            return served, await served.ask(signature, **inputs)
        finally:
            self._under_way -= 1

    def _check(self, inputs: Arrays, served: ModelProcess) -> None:
        """Refuse what would take the memory of many requests."""
        for name, values in inputs.items():
            if values.ndim and len(values) > self.limits.max_rows:
                raise RequestError(f"{name}: has {len(values)} rows. Expected at most {self.limits.max_rows}")
            if values.ndim > 1 and values.shape[1] > self.limits.max_list_length:
                raise RequestError(
                    f"{name}: has a list of {values.shape[1]}. Expected at most {self.limits.max_list_length}"
                )
        size = served.catalogue_size
        if "k" in inputs and not 1 <= int(inputs["k"]) <= (size or int(inputs["k"])):
            raise RequestError(f"k: expected 1 to {size}, the number of items. Received: {int(inputs['k'])}")
