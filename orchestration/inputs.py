"""Looks at the input before any framework is loaded, so that a wrong path or a damaged line is answered at once."""

from __future__ import annotations

from pathlib import Path

from settings.config import Config
from settings.data import ServiceLogsSource
from settings.errors import DataError

# Read in about a second.
_READ_AT_ONCE_BYTES = 64_000_000


def check_inputs(config: Config) -> None:
    """Refuse a configuration whose input files are not there, or, where they are small, hold a damaged row.

    Larger inputs are read once, by the pipeline.

    Raises:
      DataError: with the key, the path, and what was expected there.
    """
    if (path := config.data.schema_path) is not None and not Path(path).expanduser().is_file():
        raise DataError(
            f"data.schema_path: {path} does not exist or is no file. Correct it, or --set data.schema_path=..."
        )
    from datasets.quarantine import Quarantine
    from datasets.service_logs import check_logs
    from datasets.sources import input_files, read

    source, quarantine = config.data.source, Quarantine(config.data.bad_rows)
    if sum(path.stat().st_size for path in input_files(source)) <= _READ_AT_ONCE_BYTES:
        if isinstance(source, ServiceLogsSource):
            check_logs(source, quarantine)  # looked at, not joined: Beam alone takes seconds to load
        else:
            read(source, quarantine)
