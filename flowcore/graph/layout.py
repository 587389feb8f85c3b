"""Layered layout: which row each node is in, in which order, and where across.

The way of Sugiyama, Tagawa and Toda (1981): rows by the longest path, arrows over several rows led through points in
between, few crossings by the barycentre, places by least squares with the order kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from attrs import Factory, define, frozen

SWEEPS = 12
LARGE = 5000
"""Where there are more places than this, fewer sweeps must do."""


@frozen
class Way:
    """A point in between: where arrows from ``source`` pass row ``row``. All arrows of one source share it."""

    source: str
    row: int


Place = str | Way


@define
class Layout:
    """Rows from top to bottom, each from left to right, with the centre of everything in it.

    ``links`` go from one row to the next; an arrow over several rows is a chain of them.
    """

    rows: list[list[Place]]
    x: dict[Place, float] = Factory(dict)
    links: dict[tuple[Place, Place], str] = Factory(dict)


def lay_out(
    names: Sequence[str],
    edges: Sequence[tuple[str, str, str]],
    widths: Mapping[str, float],
    gap: float,
    way_width: float = 1,
) -> Layout:
    """Place nodes of the given widths, ``gap`` apart at least.

    Args:
        names: the nodes, in the order that is kept where nothing speaks against it.
        edges: source, target and word of each arrow.
        widths: how wide each node is; ``way_width`` is how wide a passing arrow is.
        gap: what is left free between two neighbours.
    """
    row = _rows(names, edges)
    layout = Layout([[] for _ in range(max(row.values(), default=-1) + 1)])
    for name in names:
        layout.rows[row[name]].append(name)
    ways: set[Way] = set()
    for source, target, word in edges:
        if row[source] >= row[target]:
            continue  # part of a cycle
        before: Place = source
        for level in range(row[source] + 1, row[target]):
            way = Way(source, level)
            if way not in ways:
                ways.add(way)
                layout.rows[level].append(way)
            layout.links.setdefault((before, way), "")
            before = way
        layout.links[before, target] = word
    up, down = _neighbours(layout)
    sweeps = SWEEPS if len(up) < LARGE else 4
    _order(layout, up, down, sweeps)
    _spread(layout, up, down, lambda place: widths[place] if isinstance(place, str) else way_width, gap, sweeps)
    return layout


def _rows(names: Sequence[str], edges: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    """The longest path to each node; what is in a cycle comes last, in the given order."""
    waiting = dict.fromkeys(names, 0)
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target, _ in edges:
        waiting[target] += 1
        after[source].append(target)
    row = dict.fromkeys(names, 0)
    ready = [name for name in names if not waiting[name]]
    for name in ready:
        for target in after[name]:
            row[target] = max(row[target], row[name] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return row


Neighbours = dict[Place, list[Place]]


def _neighbours(layout: Layout) -> tuple[Neighbours, Neighbours]:
    up: Neighbours = {place: [] for row in layout.rows for place in row}
    down: Neighbours = {place: [] for row in layout.rows for place in row}
    for source, target in layout.links:
        up[target].append(source)
        down[source].append(target)
    return up, down


def _order(layout: Layout, up: Neighbours, down: Neighbours, sweeps: int) -> None:
    """Sweep down and up, each row sorted by the mean place of its neighbours; the best order seen is kept."""
    best = [list(row) for row in layout.rows]
    fewest = _crossings(layout.rows, down)
    for sweep in range(sweeps):
        if not fewest:
            break
        downward = sweep % 2 == 0
        rows = layout.rows if downward else layout.rows[::-1]
        towards = up if downward else down
        for before, row in itertools.pairwise(rows):
            at = {place: index for index, place in enumerate(before)}
            own = {place: index for index, place in enumerate(row)}
            scale = len(before) / max(len(row), 1)
            row.sort(key=lambda place: (_mean([at[n] for n in towards[place]], own[place] * scale), own[place]))
        crossings = _crossings(layout.rows, down)
        if crossings < fewest:
            fewest, best = crossings, [list(row) for row in layout.rows]
    layout.rows[:] = best


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _crossings(rows: list[list[Place]], down: Neighbours) -> int:
    """How many pairs of links cross, counted with a tree of sums."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        at = {place: index for index, place in enumerate(lower)}
        sums = [0] * (len(lower) + 1)
        seen = 0
        for place in upper:
            ends = sorted(at[target] for target in down[place])
            for end in ends:
                index, before = end + 1, 0
                while index:
                    before += sums[index]
                    index -= index & -index
                total += seen - before
            for end in ends:
                index = end + 1
                while index <= len(lower):
                    sums[index] += 1
                    index += index & -index
            seen += len(ends)
    return total


Width = Callable[[Place], float]


def _spread(layout: Layout, up: Neighbours, down: Neighbours, width: Width, gap: float, sweeps: int) -> None:
    """Pull everything to the middle of its neighbours, as far as order and widths allow."""
    for row in layout.rows:
        at = 0.0
        for place in row:
            layout.x[place] = at + width(place) / 2
            at += width(place) + gap
    for sweep in range(sweeps):
        downward = sweep % 2 == 0
        towards = up if downward else down
        for row in layout.rows if downward else layout.rows[::-1]:
            wanted = [_mean([layout.x[n] for n in towards[place]], layout.x[place]) for place in row]
            _settle(layout, row, wanted, width, gap)
    left = min((layout.x[place] - width(place) / 2 for row in layout.rows for place in row), default=0)
    for place in layout.x:
        layout.x[place] -= left


def _settle(layout: Layout, row: list[Place], wanted: list[float], width: Width, gap: float) -> None:
    """The places nearest to the wanted ones that keep the order and the gaps: isotonic regression by pooling."""
    offsets: list[float] = []
    offset = 0.0
    for index, place in enumerate(row):
        if index:
            offset += (width(row[index - 1]) + width(place)) / 2 + gap
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for want, off in zip(wanted, offsets, strict=True):
        mean, size = want - off, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    index = 0
    for mean, size in pools:
        for _ in range(size):
            layout.x[row[index]] = mean + offsets[index]
            index += 1
