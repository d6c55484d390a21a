"""Spans: inputs in dated folders, of which a run reads the newest, a named one or the last few."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from settings.data import Spans
from settings.errors import DataError

SPAN = "{span}"
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
_log = logging.getLogger("shortlist")


def resolve(pattern: str, spans: Spans) -> list[Path]:
    """Return the files that a pattern stands for in the chosen spans, oldest span first, by name within a span.

    Args:
      pattern: a path; its name may hold wildcards, and one of its folders may be `{span}`, which stands for folders
        named by date, 2026-11-20.
      spans: which of them.

    Raises:
      DataError: there is no such span, or a span without such a file.
    """
    if SPAN not in pattern:
        return _files(pattern)
    return [path for name in chosen(pattern, spans) for path in _files(pattern.replace(SPAN, name))]


def chosen(pattern: str, spans: Spans) -> list[str]:
    """Return the names of the chosen spans, ascending; none where the pattern holds no `{span}`.

    Raises:
      DataError: there is none, or not the one that `spans.until` names.
    """
    if SPAN not in pattern:
        return []
    parts = Path(pattern).expanduser().parts
    if SPAN not in parts[:-1] or pattern.count(SPAN) > 1:
        raise DataError(f"{pattern}: should hold {SPAN} once, as the whole name of a folder, as in logs/{SPAN}/part-*")
    root = Path(*parts[: parts.index(SPAN)])
    found = sorted(path.name for path in root.glob("*") if path.is_dir() and _DATED.fullmatch(path.name))
    if not found:
        raise DataError(f"{root}: holds no dated folder. Expected folders such as 2026-11-20, which {SPAN} stands for")
    if spans.until and spans.until not in found:
        raise DataError(
            f"{root}: has no span {spans.until}. Found {len(found)}, from {found[0]} to {found[-1]}. "
            "Change data.source.spans.until, or leave it empty for the newest"
        )
    window = [name for name in found if not spans.until or name <= spans.until][-spans.last :]
    if len(window) < spans.last:
        _log.warning("%s: data.source.spans.last asks for %d spans; %d are there", root, spans.last, len(window))
    return window


def _files(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    files = [path] if path.is_file() else sorted(file for file in path.parent.glob(path.name) if file.is_file())
    if not files:
        raise DataError(f"{pattern}: is no file. Check data.source, or give --data-path")
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(f"{file}: is empty. Expected at least one row")
    return files
