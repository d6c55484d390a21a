"""The card of a pushed model: what it was trained on, how good it is and how sure that is, what it is not good at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reporting import comparison
from reporting.durations import day
from reporting.evaluation_part import weakest_slices
from reporting.page import make_environment, page_style
from reporting.summary import MetricRecord, Summary, write_atomically


@dataclass(frozen=True)
class Section:
    """A heading with sentences below it, and a table; the first row is the head."""

    title: str
    sentences: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


def write_card(summary: Summary, folder: Path) -> None:
    """Write `model_card.md` and `model_card.html` for a run that pushed; do nothing for one that did not."""
    if summary.version is None:
        return
    sections = card(summary)
    write_atomically(folder / "model_card.md", render_markdown(summary, sections))
    template = make_environment().get_template("model_card.html.j2")
    write_atomically(folder / "model_card.html", template.render(css=page_style(), run=summary, sections=sections))


def card(summary: Summary) -> list[Section]:
    """Return the sections of the card."""
    parts = (_model, _data, _schema, _features, _metrics, _slices, _limits)
    return [part(summary) for part in parts]


def render_markdown(summary: Summary, sections: Sequence[Section]) -> str:
    """Return the card in Markdown."""
    lines = [f"# {summary.name}, version {summary.version}", ""]
    for section in sections:
        lines += [f"## {section.title}", "", *(f"- {sentence}" for sentence in section.sentences)]
        if section.table:
            head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in section.table]
            lines += ["", _row(head), _row(["---"] * len(head)), *map(_row, rows)]
        lines.append("")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _model(summary: Summary) -> Section:
    model = summary.config.get("model", {})
    baseline = summary.node("BaselineResolver")
    parents = baseline.outputs.get("model", ()) if baseline is not None else ()
    values = ", ".join(f"{name} {value}" for name, value in model.items() if name != "name")
    return Section(
        "Model",
        (
            f"{model.get('name', 'unknown')}{f': {values}' if values else ''}",
            f"pushed by run {summary.run_id} ({summary.runner} runner) to {summary.pushed_path}",
            f"parent: {parents[0]}" if parents else "parent: none, the first blessed model",
        ),
    )


def _data(summary: Summary) -> Section:
    head = ("split", "rows", "users", "items", "from", "to")
    rows = [
        (
            name,
            *(f"{count:,}" for count in (split.rows, split.users, split.items)),
            day(split.first_timestamp),
            day(split.last_timestamp),
        )
        for name, split in summary.data.items()
    ]
    return Section("Data", (summary.source or "source not recorded",), (head, *rows) if rows else ())


def _schema(summary: Summary) -> Section:
    """Return the columns of the data that were validated."""
    node = summary.node("SchemaGen")
    uris = node.outputs.get("schema", ()) if node is not None else ()
    path = Path(uris[0]) / "schema.pbtxt" if uris else None
    if path is None or not path.is_file():
        return Section("Schema", ("not recorded",))
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    features = text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema()).feature
    rows = [
        (
            feature.name,
            schema_pb2.FeatureType.Name(feature.type).lower(),
            "yes" if feature.presence.min_fraction == 1 else "no",
            "one" if feature.value_count.min == feature.value_count.max == 1 else "several",
        )
        for feature in features
    ]
    return Section("Schema", (), (("column", "type", "in every row", "values a row"), *rows))


def _features(summary: Summary) -> Section:
    rows = [
        (str(feature.get("name")), str(feature.get("kind")), str(feature.get("tower", "-")))
        for feature in summary.config.get("features", ())
    ]
    return Section("Features", (), (("feature", "kind", "tower"), *rows) if rows else ())


def _metrics(summary: Summary) -> Section:
    confidence = summary.config.get("gate", {}).get("confidence", 0.95)
    head = ("metric", "this model", "parent", "popularity")
    rows = [_cells(row.name, row) for name in comparison.metric_names(summary) if (row := summary.metric(name))]
    return Section("Metrics", (f"whole test split; in brackets {confidence:.0%} intervals over users",), (head, *rows))


def _slices(summary: Summary) -> Section:
    metric = comparison.headline(summary)
    found = [row for name in comparison.slice_names(summary) if metric and (row := summary.metric(metric, name))]
    if len(found) < 2:
        return Section("Slices", ("none were measured",))
    head = (f"{metric} on", "this model", "parent", "popularity")
    return Section("Slices", (), (head, *(_cells(row.slice, row) for row in found)))


def _limits(summary: Summary) -> Section:
    metric = comparison.headline(summary)
    found = [row for name in comparison.slice_names(summary) if metric and (row := summary.metric(metric, name))]
    weak = [
        f"weak on {entry.row.slice}: {entry.row.name} {comparison.number(entry.row.value)}, {entry.reason}"
        for entry in weakest_slices(summary, found)
    ]
    smallest = summary.config.get("gate", {}).get("min_queries")
    small = [
        name
        for name in comparison.slice_names(summary)
        if smallest and (comparison.slice_count(summary.metrics, name) or 0) < smallest
    ]
    unsure = f"too few queries to judge: {', '.join(small)}"
    general = (
        "judged on what users chose while other systems chose what they saw; no experiment with users is behind it",
        "items and users that came after the data end are served by their features alone, or by popularity",
    )
    return Section("Known limits", (*weak, *([unsure] if small else []), *general))


def _cells(label: str, row: MetricRecord) -> tuple[str, ...]:
    return (
        label,
        comparison.number(row.value) + comparison.interval(row.interval),
        comparison.number(row.baseline) + comparison.interval(row.baseline_interval),
        comparison.number(row.popularity) + comparison.interval(row.popularity_interval),
    )
