"""The DAG as an inline SVG: boxes in layers, arrows between them, each box with its state and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from reporting.durations import clock
from reporting.summary import NodeRecord, NodeState

Orientation = Literal["across", "down"]

STATE_WORDS: dict[NodeState, str] = {
    "complete": "✓ done",
    "cached": "≡ cached",
    "reused": "≡ reused",
    "failed": "✗ failed",
    "not_run": "· not run",
}
_WIDTH, _HEIGHT = 148, 56  # of a box
_MARGIN = 6


@dataclass(frozen=True)
class _Box:
    """A node's place: `layer` along the flow, `lane` across it."""

    node: NodeRecord
    layer: int
    lane: int


def draw_dag(nodes: Sequence[NodeRecord], orientation: Orientation) -> Markup:
    """Return the SVG, coloured by the CSS classes of the page.

    Args:
      nodes: in an order in which each follows its inputs.
      orientation: `across` for wide screens, `down` for narrow ones.
    """
    boxes = _place(nodes)
    gap_along, gap_across = (24, 22) if orientation == "across" else (30, 16)
    layers = max((box.layer for box in boxes.values()), default=0) + 1
    lanes = max((box.lane for box in boxes.values()), default=0) + 1
    if orientation == "across":
        step_x, step_y = _WIDTH + gap_along, _HEIGHT + gap_across
        width, height = layers * step_x - gap_along, lanes * step_y - gap_across
    else:
        step_x, step_y = _WIDTH + gap_across, _HEIGHT + gap_along
        width, height = lanes * step_x - gap_across, layers * step_y - gap_along

    def corner(box: _Box) -> tuple[int, int]:
        along, across = (box.layer, box.lane) if orientation == "across" else (box.lane, box.layer)
        return _MARGIN + along * step_x, _MARGIN + across * step_y

    arrows = [
        _arrow(corner(boxes[source]), corner(box), orientation)
        for box in boxes.values()
        for source in _direct_sources(box.node, boxes)
    ]
    drawn = [_draw_box(box.node, *corner(box)) for box in boxes.values()]
    label = "; ".join(f"{n.name}: {STATE_WORDS[n.state][2:]}, {clock(n.seconds)}" for n in nodes)
    return Markup(
        '<svg class="dag dag-{orientation}" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        'aria-label="Pipeline. {label}"><defs><marker id="tip-{orientation}" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="8" markerHeight="8" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
        "{body}</svg>"
    ).format(
        orientation=orientation,
        width=width + 2 * _MARGIN,
        height=height + 2 * _MARGIN,
        label=label,
        body=Markup("").join([*arrows, *drawn]),
    )


def _place(nodes: Sequence[NodeRecord]) -> dict[str, _Box]:
    """Give each node a layer behind its inputs, and the lane of its first input where that is still free."""
    boxes: dict[str, _Box] = {}
    taken: set[tuple[int, int]] = set()
    for node in nodes:
        sources = [boxes[name] for name in node.upstream if name in boxes]
        layer = max((box.layer for box in sources), default=-1) + 1
        lane = min((box.lane for box in sources), default=0)
        while (layer, lane) in taken:
            lane += 1
        taken.add((layer, lane))
        boxes[node.name] = _Box(node, layer, lane)
    return boxes


def _direct_sources(node: NodeRecord, boxes: Mapping[str, _Box]) -> list[str]:
    """Return the inputs that no other input already implies."""
    sources = [name for name in node.upstream if name in boxes]
    implied = {ancestor for name in sources for ancestor in _ancestors(name, boxes)}
    return [name for name in sources if name not in implied]


def _ancestors(name: str, boxes: Mapping[str, _Box]) -> set[str]:
    found: set[str] = set()
    waiting = list(boxes[name].node.upstream)
    while waiting:
        source = waiting.pop()
        if source in boxes and source not in found:
            found.add(source)
            waiting.extend(boxes[source].node.upstream)
    return found


def _arrow(start: tuple[int, int], end: tuple[int, int], orientation: Orientation) -> Markup:
    if orientation == "across":
        x0, y0, x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2, end[0] - 1, end[1] + _HEIGHT // 2
        middle = x1 - 13 if y1 < y0 else x0 + 13
        path = f"M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}" if y0 != y1 else f"M{x0} {y0}H{x1}"
    else:
        x0, y0, x1, y1 = start[0] + _WIDTH // 2, start[1] + _HEIGHT, end[0] + _WIDTH // 2, end[1] - 1
        middle = y1 - 15 if x1 < x0 else y0 + 15
        path = f"M{x0} {y0}C{x0} {middle} {x1} {middle} {x1} {y1}" if x0 != x1 else f"M{x0} {y0}V{y1}"
    return Markup('<path class="arrow" d="{}" marker-end="url(#tip-{})"/>').format(path, orientation)


def _draw_box(node: NodeRecord, x: int, y: int) -> Markup:
    seconds = "" if node.state in ("not_run", "reused") else f" · {clock(node.seconds)}"
    return Markup(
        '<g class="node {state}"><title>{name}: {word}, {time}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" '
        'rx="8"/><text x="{cx}" y="{y1}" class="name">{name}</text><text x="{cx}" y="{y2}" class="state">'
        "{word}{seconds}</text></g>"
    ).format(
        state=node.state,
        name=escape(node.name),
        word=STATE_WORDS[node.state],
        time=clock(node.seconds),
        seconds=seconds,
        x=x,
        y=y,
        w=_WIDTH,
        h=_HEIGHT,
        cx=x + _WIDTH // 2,
        y1=y + 24,
        y2=y + 43,
    )
