"""Malformed rows: set aside with file, line and reason, up to a share; more of them stop the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from settings.data import BadRowSettings
from settings.errors import DataError

QUARANTINE_FILE = "quarantine.jsonl"
_SHOWN = 3


@dataclass(frozen=True)
class BadRow:
    """One malformed row.

    Attributes:
      file: as the reader named it.
      line: where the row starts, counted from 1.
      reason: what was found and what was expected.
      num_lines: lines that are lost with it: an unclosed quote swallows those behind it.
      unit: what `line` counts.
    """

    file: str
    line: int
    reason: str
    num_lines: int = 1
    unit: Literal["line", "row"] = "line"

    def __str__(self) -> str:
        return f"{self.unit} {self.line}: {self.reason}"


class Quarantine:
    """Collects the malformed rows of all files of a source.

    Args:
      rules: which rows are malformed, and how many may be.
    """

    def __init__(self, rules: BadRowSettings | None = None) -> None:
        self.rules = rules or BadRowSettings()
        self.rows: list[BadRow] = []

    def allowed(self, num_rows: int) -> int:
        """Return how many of a file's rows may be malformed."""
        return int(self.rules.max_share * num_rows)

    def put(self, rows: Sequence[BadRow], num_rows: int) -> None:
        """Set malformed rows of one file aside.

        Args:
          rows: at least one more than is allowed, where there are more.
          num_rows: rows of the file, these included.

        Raises:
          DataError: with the first rows, where the file holds more than `data.bad_rows.max_share` of them.
        """
        if not rows:
            return
        self.rows += rows
        found = [row for row in self.rows if row.file == rows[0].file]
        num_lines = sum(row.num_lines for row in found)
        allowed = self.allowed(num_rows)
        if num_lines <= allowed:
            return
        first = sorted(found, key=lambda row: row.line)
        others = "; ".join(map(str, first[1:_SHOWN]))
        raise DataError(
            f"{first[0].file}, {first[0]}. Malformed rows: {num_lines} or more of {num_rows}, where "
            f"data.bad_rows.max_share ({self.rules.max_share:.3g}) allows {allowed}"
            f"{'. The next: ' + others if others else ''}. Repair or remove them"
        )

    def write(self, path: Path) -> None:
        """Write the rows as JSON lines: `file`, `line`, `reason`, `num_lines`, `unit`; nothing where there are none."""
        if self.rows:
            path.write_text("".join(f"{json.dumps(asdict(row), ensure_ascii=False)}\n" for row in self.rows))


def shown(value: object) -> str:
    """Return a value in a few words, however long it is.

    Example:
      >>> shown(None), shown("x" * 100)[-28:]
      ('nothing', "xxxxxxx...' (100 characters)")
    """
    if value is None:
        return "nothing"
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    return repr(text) if len(text) <= 80 else f"{text[:80] + '...'!r} ({len(text):,} characters)"


def count_by_reason(rows: Iterable[BadRow]) -> dict[str, int]:
    """Return how many rows there are of each kind of damage: reasons without what was received.

    Example:
      >>> count_by_reason([BadRow("a", 1, "id should be text. Received: nothing"), BadRow("a", 2, "id should be text")])
      {'id should be text': 2}
    """
    counts: dict[str, int] = {}
    for row in rows:
        kind = row.reason.partition(". Received")[0]
        counts[kind] = counts.get(kind, 0) + 1
    return counts
