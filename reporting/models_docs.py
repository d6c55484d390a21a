"""The registry as a section of docs/models.md, printed from the models themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_TITLES = {
    "retrieval": "Retrieval: the whole catalogue, ranked for a user",
    "ranking": "Ranking: the probability of a click or a like of a row",
    "rating": "Rating: the stars that a user gives an item",
}


def model_section(models: Sequence[dict[str, Any]]) -> str:
    """Return Markdown: for each task a table of its models, with needs, options and defaults, and source.

    Args:
      models: as `describe_models` returns them.
    """
    parts = []
    for task, title in _TITLES.items():
        lines = [
            f"### {title}",
            "",
            "| model | what it is | needs | options and defaults | source |",
            "|---|---|---|---|---|",
        ]
        for model in models:
            if model["task"] != task:
                continue
            needs = ", ".join([*model["needs"], *model["ids"]]) or "-"
            options = ", ".join(f"`{name}` {_shown(o['default'])}" for name, o in model["hyperparameters"].items())
            cells = (f"`{model['name']}`", model["summary"], needs, options or "-", model["paper"] or "-")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shown(default: Any) -> str:
    """Return a default in the words of a configuration."""
    if default in (None, ""):
        return "none"
    if isinstance(default, list):
        return "[" + ", ".join(map(str, default)) + "]"
    return str(default).lower() if isinstance(default, bool) else str(default)
