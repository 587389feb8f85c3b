"""A drawing for a terminal: boxes and arrows where they fit, else a list in the order in which steps can run."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, frozen

from flowcore.graph.layout import Layout, Place, lay_out
from flowcore.graph.parts import Graph, Node
from flowcore.runs import Phase

SIGNS = {
    Phase.PENDING: "·",
    Phase.RUNNING: "▸",
    Phase.SUCCEEDED: "✓",
    Phase.FAILED: "✗",
    Phase.ERROR: "!",
    Phase.CANCELLED: "-",
    Phase.SKIPPED: "~",
}
MOST = 150
"""More steps than this are listed, not drawn."""
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
LINES = {
    UP | DOWN: "│",
    LEFT | RIGHT: "─",
    UP | RIGHT: "╰",
    UP | LEFT: "╯",
    DOWN | RIGHT: "╭",
    DOWN | LEFT: "╮",
    UP | DOWN | RIGHT: "├",
    UP | DOWN | LEFT: "┤",
    LEFT | RIGHT | DOWN: "┬",
    LEFT | RIGHT | UP: "┴",
    UP | DOWN | LEFT | RIGHT: "┼",
    UP: "│",
    DOWN: "│",
    LEFT: "─",
    RIGHT: "─",
}
ASCII = str.maketrans(
    dict(zip("│║─═▼·▸✓✗", "||-=v.>vx", strict=True)) | dict.fromkeys("╰╯╭╮├┤┬┴┼╤┌┐└┘╔╗╚╝", "+"),
)


def text(graph: Graph, width: int = 100, ascii_only: bool = False) -> str:
    """The graph for a terminal of ``width`` columns."""
    title = graph.name + (f": {graph.phase}" if graph.phase is not None else "")
    drawn: list[str] | None = None
    if sum(1 for _ in graph.walk()) <= MOST:
        drawn = _drawing(graph, width)
    body = "\n".join([title, "", *(drawn if drawn is not None else _list(graph))]) + "\n"
    return body.translate(ASCII) if ascii_only else body


# The list


def _list(graph: Graph) -> list[str]:
    rows = list(_entries(graph.nodes, 0))
    if graph.on_exit:
        rows.append(("on exit:", "", ""))
        rows += _entries(graph.on_exit, 1)
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return ["  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2])).rstrip() for row in rows]


def _entries(nodes: Sequence[Node], depth: int) -> list[tuple[str, str, str]]:
    found = []
    for node in _in_order(nodes):
        sign = f"{SIGNS[node.phase]} " if node.phase is not None else ""
        said = [", ".join((node.kind, *node.marks))]
        if node.phase is not None:
            said.append(" ".join(part for part in (node.phase.value, node.progress) if part))
        needs = ", ".join(_short(edge.source) + (f" ({edge.word})" if edge.word else "") for edge in node.edges)
        found.append(("  " * depth + sign + node.label, "  ".join(said), f"needs {needs}" if needs else ""))
        found += _entries(node.inner, depth + 1)
    return found


def _in_order(nodes: Sequence[Node]) -> list[Node]:
    """What is needed comes first; the given order else."""
    waiting = {node.name: len(node.edges) for node in nodes}
    by_name = {node.name: node for node in nodes}
    after: dict[str, list[str]] = {}
    for node in nodes:
        for edge in node.edges:
            after.setdefault(edge.source, []).append(node.name)
    ready = [node.name for node in nodes if not waiting[node.name]]
    for name in ready:
        for target in after.get(name, []):
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    done = set(ready)
    return [by_name[name] for name in ready] + [node for node in nodes if node.name not in done]


def _short(name: str) -> str:
    return name.rpartition("/")[2]


# The drawing


@frozen
class _Box:
    node: Node
    lines: tuple[str, ...]

    @property
    def width(self) -> int:
        """Odd, so that the middle is a column."""
        inner = max(len(line) for line in self.lines)
        return (inner + 4) | 1


def _box(node: Node) -> _Box:
    lines = [node.label, ", ".join((node.kind, *node.marks))]
    lines += [f"if {_short(edge.source)} {edge.word}" for edge in node.edges if edge.word]
    if node.phase is not None:
        lines.append(" ".join(part for part in (SIGNS[node.phase], node.phase.value, node.progress) if part))
    return _Box(node, tuple(lines))


def _drawing(graph: Graph, width: int) -> list[str] | None:
    """The boxes of the steps, then those of each nested workflow under its name; None if they are too wide."""
    sections: list[tuple[str, Sequence[Node]]] = [("", graph.nodes)]
    sections += [(f"{node.name}:", node.inner) for node in graph.walk() if node.inner]
    if graph.on_exit:
        sections.append(("on exit:", graph.on_exit))
    lines: list[str] = []
    for title, nodes in sections:
        drawn = _draw(nodes, width)
        if drawn is None:
            return None
        if title:
            lines += ["", title, ""]
        lines += drawn
    return lines


def _draw(nodes: Sequence[Node], width: int) -> list[str] | None:
    boxes = {node.name: _box(node) for node in nodes}
    edges = [(edge.source, node.name, edge.word) for node in nodes for edge in node.edges]
    if not edges:
        return _shelves(list(boxes.values()), width)
    layout = lay_out(list(boxes), edges, {name: box.width for name, box in boxes.items()}, 2)
    column = _columns(layout, boxes)
    right = max(x + (boxes[place].width // 2 if isinstance(place, str) else 0) for place, x in column.items())
    if right + 1 > width:
        return None
    canvas = _Canvas()
    y = 0
    for index, row in enumerate(layout.rows):
        tall = max((len(boxes[place].lines) for place in row if isinstance(place, str)), default=0) + 2
        for place in row:
            if isinstance(place, str):
                canvas.box(column[place], y, boxes[place], tall)
            else:
                for line in range(tall):
                    canvas.mark(column[place], y + line, UP | DOWN, place.source)
        y += tall
        if index + 1 < len(layout.rows):
            y = _channel(layout, row, column, boxes, canvas, y)
    return canvas.rows()


def _shelves(boxes: list[_Box], width: int) -> list[str] | None:
    canvas, x, y, tall = _Canvas(), 0, 0, 0
    if any(box.width > width for box in boxes):
        return None
    for box in boxes:
        if x and x + box.width > width:
            x, y, tall = 0, y + tall, 0
        tall = max(tall, len(box.lines) + 2)
        canvas.box(x + box.width // 2, y, box, len(box.lines) + 2)
        x += box.width + 2
    return canvas.rows()


def _columns(layout: Layout, boxes: dict[str, _Box]) -> dict[Place, int]:
    """Whole columns: rounded per row so that order and gaps stay."""
    column: dict[Place, int] = {}
    for row in layout.rows:
        free = 0
        for place in row:
            half = boxes[place].width // 2 if isinstance(place, str) else 0
            column[place] = max(round(layout.x[place] - 0.5), free + half)
            free = column[place] + half + 3
    left = min(x - (boxes[place].width // 2 if isinstance(place, str) else 0) for place, x in column.items())
    return {place: x - left for place, x in column.items()}


@define
class _Net:
    """All links from one place of a row to the next row: they share one line until they part."""

    source: Place
    start: int
    ends: list[int]
    track: int | None = None

    @property
    def span(self) -> tuple[int, int]:
        return min(self.start, *self.ends), max(self.start, *self.ends)


def _channel(
    layout: Layout, row: list[Place], column: dict[Place, int], boxes: dict[str, _Box], canvas: _Canvas, y: int
) -> int:
    """Draw the lines between a row and the next one; returns where the next row begins."""
    ports = _ports(layout, row, column, boxes)
    nets = []
    for place in row:
        ends = sorted(ports[source, target] for source, target in ports if source == place)
        if ends:
            nets.append(_Net(place, column[place], ends))
    tracks = _tracks([net for net in nets if net.span[0] != net.span[1]])
    arrow_row = y + tracks
    for net in nets:
        name = net.source if isinstance(net.source, str) else net.source.source
        if isinstance(net.source, str):
            canvas.leave(net.start, y - 1)
        bend = arrow_row if net.track is None else y + net.track
        for line in range(y, bend):
            canvas.mark(net.start, line, UP | DOWN, name)
        if net.track is not None:
            low, high = net.span
            for x in range(low, high + 1):
                bits = (LEFT if x > low else 0) | (RIGHT if x < high else 0)
                bits |= (UP if x == net.start else 0) | (DOWN if x in net.ends else 0)
                canvas.mark(x, bend, bits, name)
            for end in net.ends:
                for line in range(bend + 1, arrow_row):
                    canvas.mark(end, line, UP | DOWN, name)
    for (_, target), x in ports.items():
        if isinstance(target, str):
            canvas.put(x, arrow_row, "▼")
        else:
            canvas.mark(x, arrow_row, UP | DOWN, target.source)
    return arrow_row + 1


def _ports(
    layout: Layout, row: list[Place], column: dict[Place, int], boxes: dict[str, _Box]
) -> dict[tuple[Place, Place], int]:
    """Where each link meets its target: one column for each source, as far as the box is wide enough."""
    here = set(row)
    coming: dict[Place, list[Place]] = {}
    for source, target in layout.links:
        if source in here:
            coming.setdefault(target, []).append(source)
    ports = {}
    for target, sources in coming.items():
        sources.sort(key=lambda place: column[place])
        room = (boxes[target].width - 4) // 2 if isinstance(target, str) else 0
        step = 2 if len(sources) - 1 <= room else 1 if len(sources) - 1 <= 2 * room else 0
        first = column[target] - step * (len(sources) - 1) // 2
        for index, source in enumerate(sources):
            straight = len(sources) == 1 and isinstance(target, str) and abs(column[source] - column[target]) <= room
            ports[source, target] = column[source] if straight else first + step * index
    return ports


def _tracks(nets: list[_Net]) -> int:
    """Give each net a line of its own where two would touch; returns how many lines there are.

    A net whose line comes down where another one's goes on down must lie above that one.
    """
    above: dict[int, set[int]] = {index: set() for index in range(len(nets))}
    for index, net in enumerate(nets):
        for other, lower in enumerate(nets):
            if index != other and net.start in lower.ends:
                above[other].add(index)
    done: list[int] = []
    while len(done) < len(nets):
        rest = [index for index in range(len(nets)) if index not in done]
        free = [index for index in rest if above[index] <= set(done)]
        index = min(free or rest, key=lambda i: nets[i].span)
        net = nets[index]
        track = max((nets[i].track or 0 for i in above[index] if nets[i].track is not None), default=-1) + 1
        while any(
            other.track == track and other.span[0] <= net.span[1] + 1 and net.span[0] <= other.span[1] + 1
            for other in (nets[i] for i in done)
        ):
            track += 1
        net.track = track
        done.append(index)
    return max((net.track or 0 for net in nets), default=-1) + 1


class _Canvas:
    """A grid of characters; lines of one name join, lines of two names cross with the upright one in front."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], str] = {}
        self._lines: dict[tuple[int, int], dict[str, int]] = {}

    def put(self, x: int, y: int, character: str) -> None:
        """One character, over everything."""
        self._cells[y, x] = character

    def mark(self, x: int, y: int, bits: int, name: str) -> None:
        """A piece of the line of ``name``."""
        lines = self._lines.setdefault((y, x), {})
        lines[name] = lines.get(name, 0) | bits

    def leave(self, x: int, y: int) -> None:
        """A line begins at the lower edge of a box."""
        self.put(x, y, "┬" if self._cells.get((y, x)) == "─" else "╤")

    def box(self, middle: int, y: int, box: _Box, tall: int) -> None:
        """A node; one that stands for several has a double edge."""
        left, right = middle - box.width // 2, middle + box.width // 2
        edge = "╔═╗║╚╝" if box.node.many else "┌─┐│└┘"
        for x in range(left + 1, right):
            self.put(x, y, edge[1])
            self.put(x, y + tall - 1, edge[1])
        for x, top, bottom in ((left, edge[0], edge[4]), (right, edge[2], edge[5])):
            self.put(x, y, top)
            self.put(x, y + tall - 1, bottom)
            for line in range(1, tall - 1):
                self.put(x, y + line, edge[3])
        for index, words in enumerate(box.lines):
            for offset, character in enumerate(words):
                self.put(left + 2 + offset, y + 1 + index, character)

    def rows(self) -> list[str]:
        """The grid as lines of text."""
        cells = {place: self._line(lines) for place, lines in self._lines.items()} | self._cells
        rows: dict[int, dict[int, str]] = {}
        for (y, x), character in cells.items():
            rows.setdefault(y, {})[x] = character
        return [
            "".join(rows.get(y, {}).get(x, " ") for x in range(max(rows.get(y, {0: ""})) + 1)).rstrip()
            for y in range(max(rows, default=-1) + 1)
        ]

    @staticmethod
    def _line(lines: dict[str, int]) -> str:
        if len(lines) > 1 and any(bits == UP | DOWN for bits in lines.values()):
            return "│"
        union = 0
        for bits in lines.values():
            union |= bits
        return LINES.get(union, " ")
