"""A drawing as SVG: one file, no script, nothing from elsewhere; phases have a word as well as a colour."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

from flowcore.errors import UsageError
from flowcore.graph.layout import Layout, Place, Way, lay_out
from flowcore.graph.parts import Graph, Node
from flowcore.runs import Phase

COLOURS: dict[Phase | None, tuple[str, str]] = {
    None: ("#f6f8fa", "#8c959f"),
    Phase.PENDING: ("#f6f8fa", "#8c959f"),
    Phase.RUNNING: ("#ddf4ff", "#0969da"),
    Phase.SUCCEEDED: ("#dafbe1", "#1a7f37"),
    Phase.FAILED: ("#ffebe9", "#cf222e"),
    Phase.ERROR: ("#fbefff", "#8250df"),
    Phase.CANCELLED: ("#fff8c5", "#9a6700"),
    Phase.SKIPPED: ("#eaeef2", "#6e7781"),
}
"""The fill and the line of each phase; the words are in the drawing, so no colour has to be told apart."""

FONTS = "system-ui, -apple-system, Helvetica, Arial, sans-serif"
MOST = 3000
LETTER, SMALL = 7.6, 6.2
"""How wide a letter is, about, in the large and the small size."""
LINE, PAD, GAP, RISE, EDGE = 17.0, 12.0, 28.0, 44.0, 24.0

_UNPRINTABLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@frozen
class _Box:
    """A node with its size; ``inside`` is the drawing of a nested workflow, placed below its own words."""

    node: Node
    width: float
    height: float
    inside: _Picture | None


@frozen
class _Picture:
    """Boxes with their upper left corners, and the way of each arrow."""

    width: float
    height: float
    boxes: tuple[tuple[float, float, _Box], ...]
    arrows: tuple[tuple[tuple[tuple[float, float], ...], str], ...]


def svg(graph: Graph) -> str:
    """The graph as an SVG document.

    Raises:
        UsageError: if it has so many steps that nobody could read it.
    """
    count = sum(1 for _ in graph.walk())
    if count > MOST:
        raise UsageError(f"{count} steps are too many for a drawing (at most {MOST}); use text or mermaid")
    top = _picture(graph.nodes)
    bottom = _picture(graph.on_exit)
    title = graph.name + (f": {graph.phase}" if graph.phase is not None else "")
    width = max(top.width, bottom.width, len(title) * LETTER * 1.2) + 2 * EDGE
    height = top.height + 2 * EDGE + 28 + (bottom.height + 50 if graph.on_exit else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONTS}">',
        f"<title>{_text(title)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        _words(EDGE, EDGE + 6, title, 16, "#1f2328", bold=True),
    ]
    y = EDGE + 28
    _draw(top, EDGE + (width - 2 * EDGE - top.width) / 2, y, parts)
    if graph.on_exit:
        y += top.height + 26
        line = f"M{EDGE} {y - 10:.1f} H{width - EDGE:.1f}"
        parts.append(f'<path d="{line}" stroke="#d0d7de" stroke-dasharray="2 4"/>')
        parts.append(_words(EDGE, y + 8, "on exit", 12, "#57606a"))
        _draw(bottom, EDGE + (width - 2 * EDGE - bottom.width) / 2, y + 22, parts)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _lines(node: Node) -> list[str]:
    lines = [", ".join((node.kind, *node.marks))]
    lines += [f"if {edge.source.rpartition('/')[2]} {edge.word}" for edge in node.edges if edge.word]
    if node.phase is not None:
        lines.append(" ".join(part for part in (node.phase.value, node.progress) if part))
    return lines


def _box(node: Node) -> _Box:
    lines = _lines(node)
    width = max(len(node.label) * LETTER * 1.05, *(len(line) * SMALL for line in lines)) + 2 * PAD
    height = PAD + LINE * (1 + len(lines)) + PAD / 2
    inside = _picture(node.inner) if node.inner else None
    if inside is not None:
        width = max(width, inside.width + 2 * PAD)
        height += inside.height + PAD
    return _Box(node, width, height, inside)


def _picture(nodes: Sequence[Node]) -> _Picture:
    boxes = {node.name: _box(node) for node in nodes}
    edges = [(edge.source, node.name, edge.word) for node in nodes for edge in node.edges]
    layout = lay_out(list(boxes), edges, {name: box.width for name, box in boxes.items()}, GAP, way_width=14)
    if not edges:
        return _shelves(list(boxes.values()))
    tops: list[float] = []
    bottoms: list[float] = []
    placed: list[tuple[float, float, _Box]] = []
    y = 0.0
    for row in layout.rows:
        tallest = max((boxes[place].height for place in row if isinstance(place, str)), default=0)
        for place in row:
            if isinstance(place, str):
                box = boxes[place]
                placed.append((layout.x[place] - box.width / 2, y + (tallest - box.height) / 2, box))
        tops.append(y)
        bottoms.append(y + tallest)
        y += tallest + RISE
    width = max(max(x + box.width for x, _, box in placed), max(layout.x.values()) + 7)
    boxes_at = {box.node.name: (corner, box) for x, corner, box in placed}
    return _Picture(width, y - RISE, tuple(placed), tuple(_arrows(layout, edges, boxes_at, tops, bottoms)))


def _shelves(boxes: list[_Box]) -> _Picture:
    """Nodes without any arrow, side by side, in rows of a width that can be read."""
    placed: list[tuple[float, float, _Box]] = []
    x = y = tallest = widest = 0.0
    for box in boxes:
        if x and x + box.width > 900:
            x, y, tallest = 0.0, y + tallest + GAP, 0.0
        placed.append((x, y, box))
        widest, tallest = max(widest, x + box.width), max(tallest, box.height)
        x += box.width + GAP
    return _Picture(widest, y + tallest, tuple(placed), ())


def _arrows(
    layout: Layout,
    edges: Sequence[tuple[str, str, str]],
    boxes: Mapping[str, tuple[float, _Box]],
    tops: Sequence[float],
    bottoms: Sequence[float],
) -> Iterator[tuple[tuple[tuple[float, float], ...], str]]:
    """The points of each arrow: the lower edge of a box, the points between, the upper edge of the other.

    ``boxes`` gives the upper edge of each box. Within a row everything goes straight down, so that no arrow runs over
    a taller box beside it.
    """
    x = layout.x
    row = {place: index for index, places in enumerate(layout.rows) for place in places}
    coming: dict[Place, list[Place]] = {}
    for before, after in layout.links:
        coming.setdefault(after, []).append(before)
    for places in coming.values():
        places.sort(key=lambda place: x[place])
    for source, target, word in edges:
        if row[source] >= row[target]:
            continue  # part of a cycle
        top, box = boxes[source]
        points = [(x[source], top + box.height), (x[source], bottoms[row[source]])]
        last: Place = source
        for level in range(row[source] + 1, row[target]):
            last = Way(source, level)
            points += [(x[last], tops[level]), (x[last], bottoms[level])]
        top, box = boxes[target]
        others = len(coming[target]) - 1
        room = min(box.width * 0.6, 18.0 * others)
        end = x[target] - room / 2 + room * coming[target].index(last) / max(others, 1)
        points += [(end, tops[row[target]] - 1), (end, top - 1)]
        yield tuple(points), word


def _draw(picture: _Picture, x: float, y: float, parts: list[str]) -> None:
    for points, word in picture.arrows:
        shifted = [(px + x, py + y) for px, py in points]
        path = f"M{shifted[0][0]:.1f} {shifted[0][1]:.1f}"
        for (ax, ay), (bx, by) in itertools.pairwise(shifted):
            middle = (ay + by) / 2
            path += f" C{ax:.1f} {middle:.1f} {bx:.1f} {middle:.1f} {bx:.1f} {by:.1f}"
        dash = ' stroke-dasharray="5 4"' if word else ""
        parts.append(f'<path d="{path}" fill="none" stroke="#57606a" stroke-width="1.3"{dash}/>')
        parts.append(_tip(*shifted[-1]))
    for left, top, box in picture.boxes:
        _draw_box(box, x + left, y + top, parts)


def _draw_box(box: _Box, x: float, y: float, parts: list[str]) -> None:
    node = box.node
    fill, line = COLOURS[node.phase]
    parts.append(f"<g><title>{_text(': '.join(part for part in (node.name, node.why) if part))}</title>")
    if node.many:
        for shift in (8, 4):
            parts.append(_rect(x + shift, y + shift, box.width, box.height, fill, line))
    parts.append(_rect(x, y, box.width, box.height, "#ffffff" if box.inside else fill, line))
    if box.inside:
        head = PAD + LINE * (1 + len(_lines(node)))
        parts.append(_rect(x, y, box.width, head, fill, line))
    if node.phase is not None:
        parts.append(f'<rect x="{x:.1f}" y="{y + 5:.1f}" width="4" height="{box.height - 10:.1f}" fill="{line}"/>')
    at = y + PAD + 8
    parts.append(_words(x + PAD, at, node.label, 13, "#1f2328", bold=True))
    for index, words in enumerate(_lines(node)):
        phase = node.phase is not None and index == len(_lines(node)) - 1
        colour = line if phase else "#57606a"
        parts.append(_words(x + PAD, at + LINE * (index + 1), words, 11, colour, bold=phase))
    if box.inside:
        _draw(box.inside, x + (box.width - box.inside.width) / 2, y + box.height - box.inside.height - PAD, parts)
    parts.append("</g>")


def _rect(x: float, y: float, width: float, height: float, fill: str, line: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} rx="6" fill="{fill}" stroke="{line}"/>'


def _tip(x: float, y: float) -> str:
    """The head of an arrow: drawn, not a marker, which some viewers leave out."""
    return f'<path d="M{x - 3.5:.1f} {y - 6:.1f} L{x:.1f} {y + 1:.1f} L{x + 3.5:.1f} {y - 6:.1f} Z" fill="#57606a"/>'


def _words(x: float, y: float, words: str, size: int, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{weight}>{_text(words)}</text>'


def _text(text: str) -> str:
    return escape(_UNPRINTABLE.sub("\ufffd", text), quote=True)
