"""A graph in stages: what a patient keeps, what a setting brings, what follows the drug, and what moves with the state.

Each stage is computed when what it depends on has changed, and leaves behind what later stages read. Nothing is
computed twice, and what does not move is out of the loop over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kapsim.engine.tracing import Graph, Traced

#: The stages in order, and the tables that are read from the first stage named on.
PATIENT, SETTING, DRUG, STATE = range(4)
SOURCES: Mapping[str, int] = {"given": PATIENT, "setting": SETTING, "compartments": DRUG, "states": STATE}


@dataclass(frozen=True)
class Staged:
    """A graph whose nodes each belong to a stage.

    Attributes
    ----------
    graph : Graph
    outputs : tuple of int
        Nodes that the last stage returns.
    stage : dict of int to int
        Stage of every node that is needed, in the order of computing.
    kept : tuple of dict of int to int
        For each stage but the last, the nodes that later ones read, and their rows in what the stage leaves behind.
    """

    graph: Graph
    outputs: tuple[int, ...]
    stage: dict[int, int]
    kept: tuple[dict[int, int], ...]

    def nodes(self, stage: int) -> list[int]:
        """Return the nodes of a stage, in order."""
        return [place for place, own in self.stage.items() if own == stage]


def staged(graph: Graph, outputs: Sequence[Traced]) -> Staged:
    """Put a graph in stages; a division by what stays becomes a multiplication."""
    rewritten, places = _multiplied(graph, [output.at for output in outputs])
    stage = _stages(rewritten, places)
    kept: tuple[dict[int, int], ...] = ({}, {}, {})
    readers = [(own, operand) for place, own in stage.items() for operand in rewritten.nodes[place].operands]
    # what is returned without the last stage touching it is read by it all the same
    readers += [(STATE, place) for place in places]
    for reader, read in readers:
        node, own = rewritten.nodes[read], stage[read]
        in_memory = node.kind == "number" or (node.kind == "input" and node.source in ("given", "states"))
        if own < reader and not in_memory:
            kept[own].setdefault(read, len(kept[own]))
    return Staged(rewritten, tuple(places), stage, kept)


def _stages(graph: Graph, outputs: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for place in graph.needed(outputs):
        node = graph.nodes[place]
        found[place] = (
            SOURCES[node.source]
            if node.kind == "input"
            else max((found[operand] for operand in node.operands), default=PATIENT)
        )
    return found


def _multiplied(graph: Graph, outputs: Sequence[int]) -> tuple[Graph, list[int]]:
    """Return the graph with divisions by earlier stages as multiplications by the inverse, found once there."""
    stage, new = _stages(graph, outputs), Graph()
    moved: dict[int, Traced] = {}
    for place in stage:
        node = graph.nodes[place]
        if node.kind in ("number", "input"):
            moved[place] = new.copied(node)
            continue
        operands = [moved[operand] for operand in node.operands]
        if node.kind == "divide" and stage[node.operands[1]] < stage[place]:
            moved[place] = operands[0] * (1.0 / operands[1])
        else:
            moved[place] = new.apply(node.kind, *operands)
    return new, [moved[place].at for place in outputs]
