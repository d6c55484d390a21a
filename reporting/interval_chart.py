"""A forest plot as an inline SVG: a difference and its interval for each slice, about the line of no difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reporting.line_chart import nice_ticks

_TOP, _BOTTOM, _RIGHT = 10, 44, 20
_LONGEST_LABEL = 34


@dataclass(frozen=True)
class _Layout:
    """Sizes in the SVG's units; labels stand to the left of their rows, or above them."""

    css: str
    width: int
    left: int
    row: int
    label_above: bool
    num_ticks: int


_WIDE = _Layout("wide", width=760, left=250, row=34, label_above=False, num_ticks=4)
_NARROW = _Layout("narrow", width=340, left=14, row=46, label_above=True, num_ticks=3)


@dataclass(frozen=True)
class Difference:
    """A paired difference.

    Attributes:
      value: candidate minus the other.
      low: lower end of its interval; None where it is not known.
      high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


def draw_differences(
    title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[Difference | None]]]
) -> Markup:
    """Return two SVGs, of which CSS shows the one that fits the screen.

    Markers differ by colour and shape: CSS classes `versus-<name>`, a diamond for the baseline, a circle for others.

    Args:
      title: what is drawn, for the screen reader.
      labels: one a row.
      series: name and differences, as many as labels; None where there is nothing to compare with. A series without
        any is left out.
    """
    series = [(name, differences) for name, differences in series if any(differences)]
    return Markup("").join(_draw(title, labels, series, layout) for layout in (_WIDE, _NARROW))


def _draw(
    title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[Difference | None]]], layout: _Layout
) -> Markup:
    known = [found for _, differences in series for found in differences if found is not None]
    ends = [0.0, *(end for found in known for end in (found.value, found.low, found.high) if end is not None)]
    ticks = nice_ticks(min(ends), max(ends), layout.num_ticks)
    low, high = min(*ends, ticks[0]), max(*ends, ticks[-1])
    height = _TOP + layout.row * len(labels) + _BOTTOM
    right = layout.width - _RIGHT
    bottom = height - _BOTTOM

    def place(value: float) -> float:
        return round(layout.left + (value - low) / (high - low) * (right - layout.left), 1)

    parts = [
        Markup(
            '<line class="grid" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>'
            '<text class="tick middle" x="{0}" y="{3}">{4}</text>'
        ).format(place(tick), _TOP, bottom, bottom + 18, f"{tick:+.6g}" if tick else "0")
        for tick in ticks
    ]
    parts.append(Markup('<line class="axis" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>').format(place(0), _TOP, bottom))
    parts.append(
        Markup('<text class="tick middle" x="{}" y="{}">worse or better than, in units of the metric</text>').format(
            (layout.left + right) / 2, height - 6
        )
    )
    for row, label in enumerate(labels):
        top = _TOP + layout.row * row
        if layout.label_above:
            middle = top + 0.7 * layout.row
            parts.append(Markup('<text class="label" x="{}" y="{}">{}</text>').format(0, top + 14, _short(label)))
        else:
            middle = top + 0.5 * layout.row
            place_of_label = (layout.left - 12, middle + 4)
            parts.append(
                Markup('<text class="label end" x="{}" y="{}">{}</text>').format(*place_of_label, _short(label))
            )
        for index, (name, differences) in enumerate(series):
            found = differences[row]
            if found is not None:
                y = middle + 7 * (index - (len(series) - 1) / 2)
                parts.append(_mark(name, label, found, place, y))
    return Markup('<svg class="chart forest {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        layout.css, layout.width, height, title, Markup("").join(parts)
    )


def _mark(name: str, label: str, found: Difference, place: Callable[[float], float], y: float) -> Markup:
    """Return whisker and marker of one difference."""
    x = place(found.value)
    words = f"{label}, against {name}: {found.value:+.4g}"
    whisker = Markup("")
    if found.low is not None and found.high is not None:
        words += f", between {found.low:+.4g} and {found.high:+.4g}"
        whisker = Markup('<line class="whisker" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            place(found.low), y, place(found.high), y
        )
    if name == "baseline":
        marker = Markup('<path d="M{0} {1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>').format(x, y - 5.5)
    else:
        marker = Markup('<circle cx="{}" cy="{}" r="4.5"/>').format(x, y)
    return Markup('<g class="versus-{}"><title>{}</title>{}{}</g>').format(name, words, whisker, marker)


def _short(label: str) -> str:
    """Return a label that fits beside the chart.

    Example:
      >>> _short("gender=F"), _short("a" * 40)
      ('gender=F', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…')
    """
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
