"""The page of one run: a single HTML file that needs no network, written for people who review runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reporting import comparison
from reporting.dag_picture import STATE_WORDS, draw_dag
from reporting.durations import clock, day
from reporting.evaluation_part import evaluation_part, read_details
from reporting.feature_statistics import FeatureSummary, read_feature_statistics
from reporting.line_chart import draw_lines, style_of
from reporting.outcome import outcome
from reporting.summary import MetricRecord, Summary, write_atomically

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class _SliceRow:
    """A metric on one slice; positions are shares of the chart's width, None where there is nothing to draw."""

    row: MetricRecord
    count: float | None
    width: float
    interval: tuple[float, float] | None
    baseline: float | None
    popularity: float | None


@dataclass(frozen=True)
class _Chart:
    """A training curve; `series` are the names in the order of their colours."""

    title: str
    series: tuple[str, ...]
    svg: Markup


def write_page(summary: Summary, path: Path) -> None:
    """Render the page of a run and write it so that a reader sees the whole file or none."""
    node = summary.node("StatisticsGen")
    uris = node.outputs.get("statistics", ()) if node is not None else ()
    features = read_feature_statistics(uris[0]) if uris else []
    write_atomically(path, render_page(summary, features, read_details(summary)))


def render_page(summary: Summary, features: list[FeatureSummary], details: dict[str, Any] | None = None) -> str:
    """Return the page.

    Args:
      summary: the run.
      features: statistics of the raw features of the train split; may be empty.
      details: the Evaluator's `details.json`; None or empty where there is none.
    """
    environment = make_environment()
    environment.filters |= {
        "clock": clock,
        "day": day,
        "count": lambda value: "-" if value is None else f"{value:,.0f}",
        "share": lambda value: f"{value:.1%}" if value else "none",
    }
    main_metric = comparison.headline(summary)
    return environment.get_template("page.html.j2").render(
        css=page_style(),
        style_of=style_of,
        part=evaluation_part(summary, details or {}),
        confidence=summary.config.get("gate", {}).get("confidence", 0.95),
        run=summary,
        outcome=outcome(summary),
        state_words=STATE_WORDS,
        dag=partial(draw_dag, summary.nodes),
        slowest=max((node.seconds for node in summary.nodes), default=0.0) or 1.0,
        main=summary.metric(main_metric) if main_metric else None,
        metrics=[summary.metric(name) for name in comparison.metric_names(summary) if name not in comparison.COUNTS],
        slice_charts=_slice_charts(summary, main_metric),
        change=comparison.change,
        judge=comparison.verdict_of_change,
        direction=comparison.direction,
        charts=_training_charts(summary),
        epochs=summary.training.epochs if summary.training else (),
        features=features,
        config_yaml=yaml.safe_dump(summary.config, sort_keys=False, allow_unicode=True),
    )


def make_environment() -> Environment:
    """Return where templates are rendered, with the filters that all pages share."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": comparison.number,
        "percent": comparison.percent,
        "interval": comparison.interval,
    }
    return environment


def page_style() -> Markup:
    """Return the style sheet of all pages."""
    return Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8"))


def _slice_charts(summary: Summary, main_metric: str | None) -> list[tuple[str, list[_SliceRow]]]:
    """Return the rows of each metric with something to compare, the headline metric first."""
    slices = comparison.slice_names(summary)
    names = [name for name in comparison.metric_names(summary) if comparison.direction(name) != "neutral"]
    names.sort(key=lambda name: name != main_metric)
    if len(slices) < 2:
        return []
    return [(name, _slice_rows(summary, name, slices)) for name in names]


def _slice_rows(summary: Summary, metric: str, slices: list[str]) -> list[_SliceRow]:
    rows = [row for name in slices if (row := summary.metric(metric, name)) is not None]
    largest = max(
        (
            abs(v)
            for row in rows
            for v in (row.value, row.baseline, row.popularity, *(row.interval or ()))
            if v is not None
        ),
        default=0,
    )

    def position(value: float | None) -> float | None:
        return None if value is None or largest <= 0 else round(100 * max(value, 0.0) / largest, 2)

    return [
        _SliceRow(
            row=row,
            count=comparison.slice_count(summary.metrics, row.slice),
            width=position(row.value) or 0.0,
            interval=None
            if row.interval is None
            else (position(row.interval[0]) or 0.0, position(row.interval[1]) or 0.0),
            baseline=position(row.baseline),
            popularity=position(row.popularity),
        )
        for row in rows
    ]


def _training_charts(summary: Summary) -> list[_Chart]:
    """Return one chart a quantity, its train and eval curves together."""
    epochs: tuple[dict[str, Any], ...] = summary.training.epochs if summary.training else ()
    if not epochs:
        return []
    x = [float(epoch.get("epoch") or index) for index, epoch in enumerate(epochs, start=1)]
    known = dict.fromkeys(key for epoch in epochs for key in epoch if key != "epoch")
    charts = []
    for name in dict.fromkeys(key.removeprefix("val_") for key in known):
        keys = [key for key in (name, f"val_{name}") if key in known]
        labels = tuple("eval" if key.startswith("val_") else "train" for key in keys)
        series = dict(zip(labels, ([epoch.get(key) for epoch in epochs] for key in keys), strict=True))
        charts.append(_Chart(name, labels, draw_lines(f"{name} by epoch", x, series, "epoch")))
    return charts
