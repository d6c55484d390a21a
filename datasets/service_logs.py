"""Service logs and click logs: which files are read, and what becomes of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from datasets import pages
from datasets.click_join import CLICK_SCHEMA, PAGE_SCHEMA
from datasets.interactions import Interactions
from datasets.log_files import pieces, read_piece, set_aside
from datasets.log_generator import generate
from datasets.own_tables import read_items
from datasets.quarantine import Quarantine
from datasets.spans import resolve
from settings.data import ServiceLogsSource

_log = logging.getLogger("shortlist")


def log_files(source: ServiceLogsSource) -> tuple[list[Path], list[Path]]:
    """Return the service logs and the click logs of the chosen spans; made first, where the source says so.

    Raises:
      DataError: a span or a log is not there.
    """
    folder = Path(source.path).expanduser()
    if source.generate is not None and not folder.exists():
        counts = generate(source.generate, folder)
        _log.info("%s: made %d pages and %d clicks", folder, counts.pages, counts.clicks)
    return resolve(str(folder / source.pages), source.spans), resolve(str(folder / source.clicks), source.spans)


def check_logs(source: ServiceLogsSource, quarantine: Quarantine) -> None:
    """Read the logs without joining them; what is malformed goes to the quarantine.

    Raises:
      DataError: naming file and line of what is missing or damaged.
    """
    page_files, click_files = log_files(source)
    bad = []
    for path in page_files:
        for piece in pieces(path):
            bad += read_piece(piece, PAGE_SCHEMA, source.page_columns.model_dump(), optional=("history",))[1]
    for path in click_files:
        for piece in pieces(path):
            bad += read_piece(piece, CLICK_SCHEMA, source.click_columns.model_dump())[1]
    set_aside(bad, quarantine)


def read_service_logs(source: ServiceLogsSource, quarantine: Quarantine, beam_args: Sequence[str]) -> Interactions:
    """Join the logs of the chosen spans; see `log_join.join_logs` and `pages.interactions`."""
    from datasets.log_join import join_logs  # Beam takes seconds to import

    page_files, click_files = log_files(source)
    items = None if source.items_path is None else read_items(source.items_path, quarantine)
    table, counts = join_logs(page_files, click_files, source, quarantine, beam_args)
    _log.info("service logs and clicks were joined: %s", asdict(counts))
    return pages.interactions(table, source.examples, items, f"service logs in {source.path}", asdict(counts))
