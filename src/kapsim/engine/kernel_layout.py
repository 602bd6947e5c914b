"""Where things stand in the memory of the compiled integrator, and what its code is written with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from kapsim.engine.exponential import LANES
from kapsim.engine.stages import DRUG, PATIENT, SETTING, Staged
from kapsim.engine.vector_code import INTEGER, VECTOR, WIDTH

#: Arrays of coefficients of a step size (e^z − 1 of step and half step, φ of the half step, weights of the stages), and
#: of their base.
COEFFICIENTS, BASE = 6, 4
#: Room for the state and the stages of a step.
_ROOMS = 8


@dataclass(frozen=True)
class Shape:
    """What the code is written for.

    Attributes
    ----------
    systems, compartments, states, inputs, settings : int
        Linear systems and compartments of each, states, numbers that a patient keeps, and fields of a setting.
    entries : tuple of (int, int)
        Row and column of every entry that a propagator of a system can have.
    """

    systems: int
    compartments: int
    states: int
    inputs: int
    settings: int
    entries: tuple[tuple[int, int], ...]

    @property
    def rows_given(self) -> dict[str, int]:
        """First row of each part of `given`, and of its end."""
        found, place = {}, 0
        for name, size in (
            ("matrices", self.systems * len(self.entries)),
            ("squarings", self.systems),
            ("base", BASE * self.states),
            ("start", self.states),
            ("inputs", self.inputs),
            ("end", 0),
        ):
            found[name] = place
            place += size
        return found


class Rooms:
    """Places in the working memory, in vectors."""

    def __init__(self, shape: Shape, staged: Staged) -> None:
        self.size = 0
        matrices = shape.systems * len(shape.entries)
        self.patient = self._room(len(staged.kept[PATIENT]))
        self.setting = self._room(len(staged.kept[SETTING]))
        self.drug = [self._room(len(staged.kept[DRUG])) for _ in range(3)]
        self.steps = [self._room(shape.states) for _ in range(_ROOMS)]
        self.compartments = [self._room(shape.systems * shape.compartments) for _ in range(3)]
        self.matrices = [self._room(matrices) for _ in range(2)]
        #: From here on a propagator and the coefficients for each size.
        self.tables = self.size
        self.table = matrices + COEFFICIENTS * shape.states

    def _room(self, size: int) -> int:
        found = self.size
        self.size += size
        return found

    def bytes(self, sizes: int) -> int:
        """Return how much memory `sizes` step sizes need; one more than there are is filled."""
        return WIDTH * (self.tables + self.table * (sizes + 1))


def whole(value: int) -> Any:
    """Return a whole number."""
    return ir.Constant(INTEGER, value)


def everywhere(builder: Any, value: Any) -> Any:
    """Return a double in all lanes."""
    lane = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [ir.Constant(ir.IntType(32), 0)] * LANES)
    return builder.shuffle_vector(lane, ir.Constant(VECTOR, ir.Undefined), zeros)


@contextmanager
def loop(builder: Any, first: Any, last: Any) -> Iterator[Any]:
    """Write a loop over whole numbers; what is written within is its body."""
    function = builder.function
    origin = builder.block
    head, body, done = (function.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    counter = builder.phi(INTEGER)
    counter.add_incoming(first, origin)
    builder.cbranch(builder.icmp_signed("<", counter, last), body, done)
    builder.position_at_end(body)
    yield counter
    counter.add_incoming(builder.add(counter, whole(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(done)
