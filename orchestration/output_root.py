"""The folders of an output root, and the rule that one run at a time writes there.

<output root>/metadata.sqlite        TFX's store
              artifacts/             outputs of the nodes
              runs/<run id>/         summary.json, page.html, log.txt
              serving/<name>/<version>/
"""

from __future__ import annotations

import datetime
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from settings.errors import ConfigError, ShortlistError


@dataclass(frozen=True)
class OutputRoot:
    """Where everything of a project's runs is kept."""

    path: Path

    @property
    def metadata(self) -> Path:
        """The metadata store."""
        return self.path / "metadata.sqlite"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.path / "runs"

    @property
    def serving(self) -> Path:
        """One folder a served model, and in it one a version."""
        return self.path / "serving"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    @property
    def _owner(self) -> Path:
        return self.path / ".running.json"

    def versions(self, name: str) -> list[int]:
        """Return the versions in the serving folder of a model, ascending."""
        folder = self.serving / name
        return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())

    @contextmanager
    def new_run(self, now: datetime.datetime | None = None) -> Iterator[Path]:
        """Make the folder of a new run and keep other runs out of the output root until the block ends.

        Yields:
          the folder; its name is the run id.

        Raises:
          ConfigError: the output root cannot be written.
          ShortlistError: another run is using it.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock)
            lock.acquire(timeout=1)  # `status` holds it for a moment
        except Timeout:
            raise ShortlistError(
                f"--output-root {self.path}: another run is using it ({self._describe_owner()}). "
                "Wait for it to end, or give this run a folder of its own with --output-root"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            try:
                folder = self._make_folder(now or datetime.datetime.now(datetime.UTC))
                owner = {"run_id": folder.name, "pid": os.getpid(), "host": socket.gethostname()}
                self._owner.write_text(json.dumps(owner))
            except OSError as error:
                raise self._unwritable(error) from None
            yield folder
        finally:
            with suppress(OSError):
                self._owner.unlink(missing_ok=True)
            lock.release()

    def running(self) -> str | None:
        """Return the id of the run that is going on now, or None."""
        if not self._lock.exists():
            return None
        lock = FileLock(self._lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return self._read_owner().get("run_id", "")
        except OSError:
            return None
        lock.release()
        return None

    def _make_folder(self, now: datetime.datetime) -> Path:
        run_id = base = f"{now:%Y%m%d-%H%M%S}"
        for number in range(2, 1000):
            with suppress(FileExistsError):
                (self.runs / run_id).mkdir()
                break
            run_id = f"{base}-{number}"
        return self.runs / run_id

    def _read_owner(self) -> dict[str, str]:
        try:
            return {key: str(value) for key, value in json.loads(self._owner.read_text()).items()}
        except (OSError, ValueError):
            return {}

    def _describe_owner(self) -> str:
        owner = self._read_owner()
        return f"run {owner['run_id']}, process {owner['pid']} on {owner['host']}" if owner else "it just started"

    def _unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"--output-root {self.path}: cannot be written ({error.strerror}). "
            "Expected a folder that this user may create and write; name another with --output-root"
        )
