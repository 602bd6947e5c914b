"""Equations as a graph: a function of numbers is called on stand-ins, and what it computes is written down.

The equations of the chain are plain arithmetic on whatever they are given. Called on `Traced` values they leave a
`Graph`: every operation once, however often the equations ask for it, and those on plain numbers worked out at once.
What is compiled from the graph is therefore what the equations say, with nothing copied by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

#: Operations by the name of the NumPy function that means the same.
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "less")
UNARY = ("negative", "exp", "log", "sqrt", "log1p", "expm1", "tanh", "absolute")
_OTHER_NAMES = {"true_divide": "divide", "abs": "absolute"}


class Node(NamedTuple):
    """One operation on earlier nodes.

    `kind` is an operation of `BINARY` or `UNARY`, 'where' (condition, then, otherwise), 'number' or 'input'.
    """

    kind: str
    operands: tuple[int, ...] = ()
    number: float = 0.0  # of a number its value
    source: str = ""  # of an input the table that it stands in, and its row there
    row: int = 0


class Graph:
    """Nodes in the order in which they can be computed, each once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._places: dict[Any, int] = {}

    def inputs(self, source: str, count: int) -> list[Traced]:
        """Return stand-ins for the rows of a table."""
        return [Traced(self, self._place(Node("input", source=source, row=row))) for row in range(count)]

    def copied(self, node: Node) -> Traced:
        """Return a number or an input of another graph as one of this."""
        return Traced(self, self._place(node))

    def apply(self, kind: str, *operands: Any) -> Traced:
        """Return the result of an operation on stand-ins and numbers."""
        places = tuple(self.place(operand) for operand in operands)
        given = [self.nodes[place] for place in places]
        if all(node.kind == "number" for node in given):
            return Traced(self, self._number(_value(kind, [node.number for node in given])))
        same = _needless(kind, given)
        if same is None:
            return Traced(self, self._place(Node(kind, places)))
        return Traced(self, self._number(0.0) if same == _ZERO else places[same])

    def place(self, value: Any) -> int:
        """Return where a stand-in or a number stands among the nodes."""
        if isinstance(value, Traced):
            assert value.graph is self
            return value.at
        return self._number(float(value))

    def needed(self, outputs: Iterable[int]) -> list[int]:
        """Return the nodes that `outputs` depend on, in order."""
        wanted = set(outputs)
        for place in range(max(wanted, default=-1), -1, -1):
            if place in wanted:
                wanted.update(self.nodes[place].operands)
        return sorted(wanted)

    def _number(self, value: float) -> int:
        return self._place(Node("number", number=value))

    def _place(self, node: Node) -> int:
        # zero and minus zero are equal, and are not the same
        key = (node, math.copysign(1.0, node.number))
        if key not in self._places:
            self._places[key] = len(self.nodes)
            self.nodes.append(node)
        return self._places[key]


_ZERO = -1


def _needless(kind: str, given: Sequence[Node]) -> int | None:
    """Return which operand is the result already, `_ZERO` where it is zero, None where there is work to do.

    What a switch of plainly 0 takes out, or of 1 leaves as it is, costs nothing. It holds for finite numbers.
    """
    numbers = [node.number if node.kind == "number" else None for node in given]
    match kind, numbers:
        case "add" | "subtract", [_, 0.0]:
            return 0
        case "add", [0.0, _]:
            return 1
        case "multiply", [0.0, _] | [_, 0.0]:
            return _ZERO
        case "multiply" | "divide" | "power", [_, 1.0]:
            return 0
        case "multiply", [1.0, _]:
            return 1
        case "divide", [0.0, _]:
            return _ZERO
    return None


def _value(kind: str, numbers: Sequence[float]) -> float:
    if kind == "where":
        return numbers[1] if numbers[0] else numbers[2]
    with np.errstate(all="ignore"):
        return float(getattr(np, kind)(*numbers))


class Traced:
    """A stand-in for a number or an array of one value a patient."""

    __slots__ = ("at", "graph")

    def __init__(self, graph: Graph, at: int) -> None:
        self.graph, self.at = graph, at

    def __add__(self, other: Any) -> Traced:
        return self.graph.apply("add", self, other)

    def __radd__(self, other: Any) -> Traced:
        return self.graph.apply("add", other, self)

    def __sub__(self, other: Any) -> Traced:
        return self.graph.apply("subtract", self, other)

    def __rsub__(self, other: Any) -> Traced:
        return self.graph.apply("subtract", other, self)

    def __mul__(self, other: Any) -> Traced:
        return self.graph.apply("multiply", self, other)

    def __rmul__(self, other: Any) -> Traced:
        return self.graph.apply("multiply", other, self)

    def __truediv__(self, other: Any) -> Traced:
        return self.graph.apply("divide", self, other)

    def __rtruediv__(self, other: Any) -> Traced:
        return self.graph.apply("divide", other, self)

    def __pow__(self, other: Any) -> Traced:
        return self.graph.apply("power", self, other)

    def __rpow__(self, other: Any) -> Traced:
        return self.graph.apply("power", other, self)

    def __neg__(self) -> Traced:
        return self.graph.apply("negative", self)

    def __abs__(self) -> Traced:
        return self.graph.apply("absolute", self)

    def __lt__(self, other: Any) -> Traced:
        return self.graph.apply("less", self, other)

    def __bool__(self) -> bool:
        raise TypeError("equations may not branch on a value: use maximum, minimum or where")

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **options: Any) -> Any:
        """Write a function of NumPy down instead of computing it."""
        kind = _OTHER_NAMES.get(function.__name__, function.__name__)
        if method != "__call__" or options or kind not in (*BINARY, *UNARY):
            raise TypeError(f"equations may not use {function.__name__}: it is no operation that is written down")
        if any(isinstance(operand, np.ndarray) for operand in operands):
            return np.vectorize(lambda *parts: self.graph.apply(kind, *parts), otypes=[object])(*operands)
        return self.graph.apply(kind, *operands)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """Write a choice between two values down."""
        if function is not np.where or len(args) != 3 or kwargs:
            raise TypeError(f"equations may not use {function.__name__}: it is no operation that is written down")
        return self.graph.apply("where", *args)
