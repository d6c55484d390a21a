"""A line chart as an inline SVG: up to a few series over the epochs, told apart by colour, dash and marker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 40


# One look a name on every chart; other series look by their place.
_STYLES = {"candidate": 0, "baseline": 1, "popularity": 2, "perfect": 3, "history": 3}


def style_of(name: str, place: int) -> int:
    """Return the number of the CSS classes of a series, such as `series-2` and `mark-2`.

    Example:
      >>> style_of("popularity", 1), style_of("eval", 1)
      (2, 1)
    """
    return _STYLES.get(name, place)


def draw_lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    x_label: str,
    x_names: Sequence[str] | None = None,
) -> Markup:
    """Return the SVG; its colours come from the page's CSS classes `series-0`, `series-1`, ...

    Args:
      title: what is drawn, for the screen reader.
      x: where the values stand, ascending.
      series: values by name, as long as `x`; None leaves a gap.
      x_label: what `x` counts.
      x_names: what stands below each of `x`; None: the number itself.
    """
    named = dict(zip(x, x_names or [f"{value:g}" for value in x], strict=True))
    known = [value for values in series.values() for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def place(value_x: float, value_y: float) -> tuple[float, float]:
        share_x = (value_x - x[0]) / (x[-1] - x[0]) if len(x) > 1 else 0.5
        share_y = (value_y - low) / (high - low)
        return round(_LEFT + share_x * (right - _LEFT), 1), round(bottom - share_y * (bottom - _TOP), 1)

    parts = [Markup('<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="{1}"/>').format(_LEFT, bottom, right)]
    for tick in ticks:
        y = place(x[0], tick)[1]
        parts.append(
            Markup(
                '<line class="grid" x1="{0}" y1="{2}" x2="{1}" y2="{2}"/>'
                '<text class="tick end" x="{3}" y="{4}">{5}</text>'
            ).format(_LEFT, right, y, _LEFT - 8, y + 4, f"{tick:.6g}")
        )
    for value in _some(x):
        parts.append(
            Markup('<text class="tick middle" x="{}" y="{}">{}</text>').format(
                place(value, low)[0], bottom + 18, named[value]
            )
        )
    parts.append(
        Markup('<text class="tick middle" x="{}" y="{}">{}</text>').format((_LEFT + right) / 2, _HEIGHT - 4, x_label)
    )
    for place_of_series, (name, values) in enumerate(series.items()):
        index = style_of(name, place_of_series)
        points = [(place(a, b), a, b) for a, b in zip(x, values, strict=True) if b is not None]
        path = " ".join(f"{px},{py}" for (px, py), _, _ in points)
        parts.append(Markup('<polyline class="series-{}" points="{}"/>').format(index, path))
        parts += [_marker(index, px, py, f"{name}, {x_label} {named[a]}: {b:.4g}") for (px, py), a, b in points]
    ends = "; ".join(f"{name} ends at {values[-1]:.4g}" for name, values in series.items() if values[-1] is not None)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">{}</svg>').format(
        _WIDTH, _HEIGHT, title, ends, Markup("").join(parts)
    )


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about `count` round numbers that enclose a range.

    Example:
      >>> nice_ticks(0.13, 0.78)
      [0.0, 0.2, 0.4, 0.6, 0.8]
      >>> nice_ticks(5.0, 5.0)
      [4.5, 5.0, 5.5]
    """
    if high <= low:
        pad = abs(low) * 0.1 or 0.5
        return [low - pad, low, low + pad]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _some(values: Sequence[float]) -> list[float]:
    """Return at most about eight of the values, the first and the last among them."""
    if len(values) <= 8:
        return list(values)
    step = math.ceil((len(values) - 1) / 7)
    chosen = [value for index, value in enumerate(values) if index % step == 0]
    if chosen[-1] != values[-1]:
        # The one before the end would overlap it.
        chosen = [*(chosen if len(values) - 1 - (len(chosen) - 1) * step > step / 2 else chosen[:-1]), values[-1]]
    return chosen


def _marker(index: int, x: float, y: float, title: str) -> Markup:
    if index == 0:
        shape = Markup('<circle class="mark-0" cx="{}" cy="{}" r="3.5">').format(x, y)
        end = Markup("</circle>")
    else:
        shape = Markup('<rect class="mark-{}" x="{}" y="{}" width="7" height="7">').format(index, x - 3.5, y - 3.5)
        end = Markup("</rect>")
    return shape + Markup("<title>{}</title>").format(title) + end
