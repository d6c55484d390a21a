"""The lineage of a served version in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from reporting.terminal import console


def print_lineage(lineage: Mapping[str, Any]) -> None:
    """Print where a served version came from."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in (
        ("version", lineage["version"]),
        ("restored from", lineage["restored_from"]),
        ("pushed at", lineage["pushed_at"]),
        ("files", "as its manifest says" if lineage["undamaged"] else "damaged: verify or roll back"),
        ("model", lineage["model_uri"]),
        ("run", lineage["run_id"]),
        ("code", lineage["code_revision"]),
        ("source", lineage["source"]),
        *((f"{split} data", f"{first} to {last}") for split, (first, last) in lineage["data"].items()),
        *((name, f"{value:.4f}") for name, value in lineage["metrics"].items() if value is not None),
    ):
        if value is not None:
            table.add_row(label, str(value))
    console().print(table)
