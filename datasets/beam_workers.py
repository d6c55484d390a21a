"""Worker processes of Beam that die: Beam's own engine waits for them without end."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from settings.errors import ShortlistError

_ATTEMPTS = 3
# Not an interrupt: programs in the background may be started to ignore those.
_WAKE = signal.SIGUSR1
_log = logging.getLogger("shortlist")


class WorkerDiedError(ShortlistError):
    """A worker process ended before its work did."""


@contextmanager
def dead_workers_raise() -> Iterator[None]:
    """Raise where a worker process of Beam's multi-processing dies meanwhile, for lack of memory for example.

    Beam tells of it by an exception in a thread of its own, while the main thread waits for an answer that does not
    come. In other threads than the main one nothing is done.

    Raises:
      WorkerDiedError: a worker died.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reasons: list[str] = []
    earlier_hook = threading.excepthook

    def hook(caught: threading.ExceptHookArgs) -> None:
        if "Worker subprocess exited" not in str(caught.exc_value):
            earlier_hook(caught)
        elif not reasons:
            reasons.append(str(caught.exc_value))
            signal.pthread_kill(threading.main_thread().ident or 0, _WAKE)

    def wake(number: int, frame: Any) -> None:
        raise WorkerDiedError(
            f"Beam: {reasons[0]}. 137 is often too little memory: lower beam.workers, or take beam.runner: in-memory"
        )

    earlier_handler = signal.signal(_WAKE, wake)
    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = earlier_hook
        signal.signal(_WAKE, earlier_handler)


def until_no_worker_dies(work: Callable[[], None]) -> None:
    """Do work that may be done twice, and again where a worker process died, three times at most.

    Raises:
      WorkerDiedError: a worker died each time.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with dead_workers_raise():
                work()
            return
        except WorkerDiedError as error:
            if attempt == _ATTEMPTS:
                raise
            _log.warning("%s. The work is done again.", error)
