"""The version that answers, and the watcher that puts a newer one in its place."""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving import version_store
from serving.loaded_model import LoadedModel
from serving.manifest import Manifest
from serving.version_store import Version
from settings.errors import ShortlistError

POLL_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """A version in memory."""

    number: int
    model: LoadedModel
    manifest: Manifest


class ModelWatcher:
    """Keeps the newest good version of a serving root in memory.

    Every second the root is listed. A newer version is compared with its manifest, byte for byte, loaded and asked once
    before it takes the place of the old one; requests under way keep theirs, so none is dropped. A version that is
    damaged or does not load is refused once and for all, and the old one serves on. `version_store.rollback` needs
    nothing of its own: it makes a newer version.

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
        self.current: ServedModel | None = None
        self.refused: dict[int, str] = {}
        self._on_change, self._on_refusal = on_change, on_refusal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model-watcher", daemon=True)

    def start(self) -> None:
        """Load the newest good version, then watch.

        Raises:
          ShortlistError: there is no good version.
        """
        self.look()
        if self.current is None:
            told = "; ".join(f"version {number}: {reason}" for number, reason in sorted(self.refused.items()))
            raise ShortlistError(
                f"{self.root}: has no version that can be served"
                + (f" ({told})" if told else "")
                + ". Expected a serving root such as output/serving/NAME, with a pushed version"
            )
        _give_memory_back()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; the current version keeps answering."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Put the newest good version in place, where it is another than the current one."""
        for version in reversed(version_store.versions(self.root)):
            if self.current is not None and version.number <= self.current.number:
                return
            if version.number in self.refused:
                continue
            try:
                self._swap(version)
                return
            except Exception as error:
                # Whatever a damaged model does, the old one must serve on.
                reason = str(error) if isinstance(error, ShortlistError) else f"does not load ({error})"
                self.refused[version.number] = reason
                _log.error("Version %d is refused: %s", version.number, reason)
                self._on_refusal(version.number, reason)

    def _swap(self, version: Version) -> None:
        manifest = version_store.verify(version)
        model = LoadedModel(version.path)
        if "recommend" not in model.inputs:
            raise ShortlistError(f"{version.path}: has no signature `recommend`. Found: {sorted(model.inputs)}")
        # The first call of a signature builds its plan: here, not at the first user's cost.
        missing = sorted({"item_ids", "scores", "rung"} - model.ask("recommend", user_id=[""], k=1).keys())
        if missing:
            raise ShortlistError(
                f"{version.path}: `recommend` does not answer with {', '.join(missing)}. Expected a version that this "
                "release of Shortlist pushed"
            )
        self.current = ServedModel(version.number, model, manifest)
        _log.info("Version %d serves.", version.number)
        self._on_change(version.number)

    def _watch(self) -> None:
        cleared: ServedModel | None = self.current
        while not self._stop.wait(POLL_SECONDS):
            try:
                # One look later, when the requests that were under way have let go of the old version.
                if self.current is not cleared:
                    cleared = self.current
                    _give_memory_back()
                self.look()
            except Exception:
                _log.exception("%s cannot be listed; the version in memory serves on.", self.root)


def _give_memory_back() -> None:
    """Free what loading took and what an old version held; the C library keeps such pages unless it is told."""
    gc.collect()  # a SavedModel's objects refer to one another
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
