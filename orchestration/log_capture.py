"""Framework noise goes to a log file, so that the terminal belongs to the run's own words.

TensorFlow and Beam write to the file descriptors from C++ and from child processes, past `sys.stderr`; hence the
descriptors themselves are redirected too, and the terminal is kept at hand under two new ones.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


@dataclass(frozen=True)
class Terminal:
    """The process's own output streams, as they were before the capture."""

    out: TextIO
    err: TextIO


@contextmanager
def captured(log_path: Path, verbose: bool = False) -> Iterator[Terminal]:
    """Send what Python, C++ and child processes print to a log file.

    Args:
      log_path: file to append to.
      verbose: print it to the terminal as well (Python's log) or instead (everything else).

    Yields:
      the terminal, to print to meanwhile.
    """
    with ExitStack() as stack:
        log = stack.enter_context(log_path.open("a", encoding="utf-8", buffering=1))
        _flush()
        terminal = Terminal(*(stack.enter_context(_kept(stream)) for stream in (sys.stdout, sys.stderr)))
        handlers: list[logging.Handler] = [logging.StreamHandler(log)]
        if verbose:
            handlers.append(logging.StreamHandler(terminal.err))
        else:
            for descriptor in (1, 2):
                stack.enter_context(_redirected(descriptor, log.fileno()))
            stack.enter_context(redirect_stdout(log))
            stack.enter_context(redirect_stderr(log))
            if not faulthandler.is_enabled():
                faulthandler.enable(log)
                stack.callback(faulthandler.disable)
        stack.enter_context(_logging_to(handlers))
        yield terminal
        _flush()


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


@contextmanager
def _kept(stream: TextIO) -> Iterator[TextIO]:
    """Yield a stream to where this one leads now. One without a descriptor, as tests use, is its own copy."""
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, io.UnsupportedOperation):
        yield stream
        return
    with os.fdopen(descriptor, "w", encoding=stream.encoding, errors="replace", buffering=1) as copy:
        yield cast("TextIO", copy)


@contextmanager
def _redirected(descriptor: int, target: int) -> Iterator[None]:
    saved = os.dup(descriptor)
    os.dup2(target, descriptor)
    try:
        yield
    finally:
        _flush()
        os.dup2(saved, descriptor)
        os.close(saved)


@contextmanager
def _logging_to(handlers: list[logging.Handler]) -> Iterator[None]:
    """Make these the only handlers of the root logger; absl and Beam add none where they find some."""
    root = logging.getLogger()
    before, loggers = root.handlers[:], (root, logging.getLogger("absl"))
    levels = [logger.level for logger in loggers]
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
    root.handlers[:] = handlers
    for logger in loggers:  # absl's keeps a level of its own once any code has set its verbosity
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
