"""Finds the error that was raised on purpose inside whatever the frameworks wrapped around it.

Under LocalDagRunner an executor's exception arrives as it was raised. Beam re-raises it with ` [while running ...]`
added, and from worker processes only as the text of a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from settings import errors
from settings.errors import ShortlistError

_BEAM_SUFFIX = re.compile(r"\s*\[while running '[^\n]*'\]\s*$")
_PRINTED = re.compile(
    r"^settings\.errors\.(\w+): (.*?)(?=\n\nDuring handling|\n\nThe above|\nTraceback |\Z)", re.M | re.S
)


def find_error(error: BaseException) -> ShortlistError | None:
    r"""Return the Shortlist error behind an exception, with its own text and exit code; None if there is none.

    Example:
      >>> wrapped = RuntimeError("Traceback ...\nsettings.errors.DataError: a.csv: empty [while running 'Read']")
      >>> find_error(wrapped)
      DataError('a.csv: empty')
    """
    links = list(_chain(error))
    for link in links:
        if isinstance(link, ShortlistError):
            return type(link)(_without_beam_suffix(str(link)))
    for link in links:
        found = find_printed_error(str(link))
        if found is not None:
            return found
    return None


def find_printed_error(text: str) -> ShortlistError | None:
    """Return the Shortlist error that a printed traceback ends with; None if it ends with another."""
    match = _PRINTED.search(text)
    kind = getattr(errors, match[1], None) if match else None
    if match is None or not (isinstance(kind, type) and issubclass(kind, ShortlistError)):
        return None
    return kind(_without_beam_suffix(match[2]))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to what it was raised from."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _without_beam_suffix(text: str) -> str:
    while (shorter := _BEAM_SUFFIX.sub("", text)) != text:
        text = shorter
    return text.rstrip()
