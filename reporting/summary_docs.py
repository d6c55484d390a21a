"""Prints `docs/summary.md` from the summary's own field descriptions: `python -m reporting.summary_docs`."""

from __future__ import annotations

import re

from pydantic import BaseModel

from reporting import summary

_PARTS: tuple[type[BaseModel], ...] = (
    summary.Summary,
    summary.SplitRecord,
    summary.LeakageRecord,
    summary.SuspiciousColumnRecord,
    summary.NodeRecord,
    summary.TrainingRecord,
    summary.TuningRecord,
    summary.TrialRecord,
    summary.MetricRecord,
    summary.GateRecord,
    summary.ErrorRecord,
)

_HEAD = f"""# summary.json

`<output root>/runs/<run id>/summary.json` is written at the end of every run, also of one that failed, and appears
complete or not at all. Schema version {summary.SCHEMA_VERSION}: fields may be added without a new version, so ignore
what you do not know; a field that changes its meaning or goes away raises it. Numbers that are not finite are `null`.

A run folder without a summary belongs to a run that is still going or was killed; `python pipeline.py status` tells.

    jq '{{run_id, blessed, version, exit_code}}' output/runs/*/summary.json

This page is printed by `python -m reporting.summary_docs`.
"""


def render() -> str:
    """Return the page, in Markdown."""
    return "\n".join([_HEAD, *(_table(part) for part in _PARTS)])


def _table(part: type[BaseModel]) -> str:
    lines = [f"## {part.__name__}", "", part.__doc__ or "", "", "| field | type | meaning |", "|---|---|---|"]
    for name, field in part.model_fields.items():
        kind = _kind(part.__annotations__[name])
        lines.append(f"| `{name}` | {kind} | {field.description} |")
    return "\n".join(lines) + "\n"


def _kind(annotation: str) -> str:
    """Return the annotation as JSON knows it.

    Example:
      >>> _kind("tuple[NodeRecord, ...]"), _kind("int | None"), _kind("Number")
      ('list of NodeRecord', 'integer or null', 'number or null')
    """
    text = re.sub(r"tuple\[(\w+(?:\[[^\]]*\])?), \.\.\.\]", r"list of \1", annotation)
    text = re.sub(r"dict\[str, (.+)\]", r"object of \1", text)
    words = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "Number": "number or null"}
    words |= {
        "Interval": "[low, high] or null",
        "Any": "anything",
        "None": "null",
        "NodeState": "string",
        "Literal[1]": "1",
    }
    text = re.sub(r"Literal\[1\]|\w+", lambda match: words.get(match[0], match[0]), text)
    return text.replace(" | ", " or ")


if __name__ == "__main__":
    print(render(), end="")
