"""Keeps the newest good version of a serving root answering."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from serving import version_store
from serving.server.model_process import ModelProcess
from serving.version_store import Version
from settings.errors import ShortlistError

POLL_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ModelWatcher:
    """Keeps the newest good version of a serving root answering.

    Every second the root is listed. A newer version is compared with its manifest, byte for byte, loaded by a process
    of its own and asked once before it takes the place of the old one; requests under way keep theirs, so none is
    dropped. A version that is damaged or does not load is refused once and for all, and the old one serves on. One
    whose process dies is started again. `version_store.rollback` needs nothing of its own: it makes a newer version.

    Args:
      root: folder of the versions.
      on_change: told the number of each version that begins to serve.
      on_refusal: told the version and why.
    """

    def __init__(
        self,
        root: Path,
        on_change: Callable[[int], None] = lambda number: None,
        on_refusal: Callable[[int, str], None] = lambda number, reason: None,
    ) -> None:
        self.root = root
        self.current: ModelProcess | None = None
        self.refused: dict[int, str] = {}
        self._on_change, self._on_refusal = on_change, on_refusal
        self._watching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self.current is not None and self.current.alive

    async def start(self) -> None:
        """Load the newest good version, then watch.

        Raises:
          ShortlistError: there is no good version.
        """
        await self.look()
        if self.current is None:
            told = "; ".join(f"version {number}: {reason}" for number, reason in sorted(self.refused.items()))
            raise ShortlistError(
                f"{self.root}: has no version that can be served"
                + (f" ({told})" if told else "")
                + ". Expected a serving root such as output/serving/NAME, with a pushed version"
            )
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching, and end the current version after the requests under way."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self.current is not None:
            self.current.retire()
            await self.current.ended()

    async def look(self) -> None:
        """Put the newest good version in place, where it is another than the current one."""
        for version in reversed(await asyncio.to_thread(version_store.versions, self.root)):
            if self.current is not None and version.number <= self.current.number:
                return
            if version.number in self.refused:
                continue
            try:
                await self._swap(version)
                return
            except Exception as error:
                # Whatever a damaged model does, the old one must serve on.
                self.refused[version.number] = str(error)
                _log.error("Version %d is refused: %s", version.number, error)
                self._on_refusal(version.number, str(error))

    async def _swap(self, version: Version) -> None:
        old, self.current = self.current, await ModelProcess.start(version)
        if old is not None:
            old.retire()
        _log.info("Version %d serves.", version.number)
        self._on_change(version.number)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if self.current is not None and not self.current.alive:
                    how = await self.current.ended()
                    _log.error("The process of version %d %s It is started again.", self.current.number, how)
                    await self._swap(Version(self.current.number, self.current.path))
                await self.look()
            except Exception:
                _log.exception("%s: looking for the newest version failed; it is tried again in a second.", self.root)
