"""Drawings of a workflow: as text, as Mermaid, as SVG, with the phases of a run where they are given.

All of it is pure: a ``Graph`` is made of a workflow (or of a run's steps alone), and each form draws one.
"""

from flowcore.graph.mermaid import mermaid
from flowcore.graph.parts import Graph, Node, graph_of, graph_of_run
from flowcore.graph.svg import svg
from flowcore.graph.text import text

__all__ = ["Graph", "Node", "graph_of", "graph_of_run", "mermaid", "svg", "text"]
