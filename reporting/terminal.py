"""The terminal as tables want it."""

from __future__ import annotations

from rich.console import Console

# Where there is no terminal, tables are as wide as most editors and CI logs show without wrapping.
_PLAIN_WIDTH = 110


def console() -> Console:
    """Return a console on standard output; plain text of a fixed width where that is a file or a pipe."""
    made = Console()
    return made if made.is_terminal else Console(width=_PLAIN_WIDTH)


def widen(made: Console) -> None:
    """Give a console that is no terminal the fixed width."""
    if not made.is_terminal:
        made.width = _PLAIN_WIDTH
