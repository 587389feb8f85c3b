"""A drawing in the words of Mermaid, which GitHub and many editors show."""

from __future__ import annotations

from flowcore.graph.parts import Graph, Node
from flowcore.graph.svg import COLOURS
from flowcore.runs import Phase


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    ids: dict[str, str] = {node.name: f"s{index}" for index, node in enumerate(graph.walk())}
    lines = ["flowchart TD"]
    used: set[Phase] = set()
    for node in graph.nodes:
        _draw(node, ids, lines, "  ", used)
    if graph.on_exit:
        lines.append('  subgraph on_exit ["on exit"]')
        for node in graph.on_exit:
            _draw(node, ids, lines, "    ", used)
        lines.append("  end")
    for node in graph.walk():
        for edge in node.edges:
            arrow = f"-. {edge.word} .->" if edge.word else "-->"
            lines.append(f"  {ids[edge.source]} {arrow} {ids[node.name]}")
    for phase in Phase:
        if phase in used:
            fill, line = COLOURS[phase]
            lines.append(f"  classDef {phase} fill:{fill},stroke:{line},color:#1f2328")
    return "\n".join(lines) + "\n"


def _draw(node: Node, ids: dict[str, str], lines: list[str], indent: str, used: set[Phase]) -> None:
    said = [node.label, ", ".join((node.kind, *node.marks))]
    if node.phase is not None:
        said.append(" ".join(part for part in (node.phase.value, node.progress) if part))
        used.add(node.phase)
    label = "<br/>".join(_escaped(part) for part in said)
    style = f":::{node.phase}" if node.phase is not None else ""
    own = ids[node.name]
    if node.inner:
        lines.append(f'{indent}subgraph {own} ["{label}"]')
        for inner in node.inner:
            _draw(inner, ids, lines, indent + "  ", used)
        lines.append(f"{indent}end")
        if node.phase is not None:
            lines.append(f"{indent}class {own} {node.phase}")
    else:
        left, right = ("[[", "]]") if node.many else ("[", "]")
        lines.append(f'{indent}{own}{left}"{label}"{right}{style}')


def _escaped(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
