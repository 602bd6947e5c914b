"""Doses as constants that can be changed, and what happens when as events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kapsim.course import Course, Delivery
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.exchange.sbml.symbols import symbol
from kapsim.exchange.sbml.system import Constant, Event
from kapsim.protocol.events import DoseEvent

if TYPE_CHECKING:
    from sympy import Expr


def dose_constants(course: Course, doses: Sequence[DoseEvent]) -> Iterator[tuple[Delivery, str, tuple[Constant, ...]]]:
    """Yield every delivery with what it is in words, and its constants: mg given, what enters per mg, and how long.

    Parameters
    ----------
    course : Course
        Of one person.
    doses : sequence of DoseEvent
        What the course was built from.
    """
    parts: dict[int, set[int]] = {}
    for item in course.deliveries:
        parts.setdefault(item.dose, set()).add(item.part)
    taken: set[str] = set()
    for item in course.deliveries:
        dose, given = doses[item.dose], float(item.milligrams[0])
        what = f"{dose.drug} {dose.amount:g} {dose.unit} {dose.pathway.replace('_', ' ')} at {dose.start_h:g} h"
        own = f"dose_{item.dose + 1}" + (f"_part_{item.part + 1}" if len(parts[item.dose]) > 1 else "")
        unit, text = ("1/mg", "reference doses") if item.system == "midazolam" else ("umol/mg", "amount")
        label = f"{own}_{item.system}_{item.compartment}"
        names = itertools.chain([label], (f"{label}_{number}" for number in itertools.count(2)))
        label = next(name for name in names if name not in taken)
        taken.add(label)
        found = [
            Constant(own, f"{what}, this person's dose", "mg", given),
            Constant(
                label,
                f"{text} that enters {item.compartment}, per mg given",
                unit,
                float(item.amount[0]) / given if given > 0.0 else 0.0,
            ),
        ]
        if item.ticks is not None:
            hours = float(item.ticks[0]) / TICKS_PER_HOUR
            found.append(Constant(f"{label}_duration", f"time over which {own} enters", "h", hours))
        yield item, what, tuple(found)


class Happenings:
    """What is set or added at each tick."""

    def __init__(self) -> None:
        self._sets: dict[int, dict[str, Expr]] = {}
        self._adds: dict[int, dict[str, Expr]] = {}
        self._names: dict[int, list[str]] = {}

    def set(self, tick: int, name: str, value: Expr, says: str) -> None:
        """Set `name` to `value` at a tick."""
        self._sets.setdefault(tick, {})[name] = value
        self._say(tick, says)

    def add(self, tick: int, name: str, value: Expr, says: str) -> None:
        """Add `value` to `name` at a tick."""
        table = self._adds.setdefault(tick, {})
        table[name] = table.get(name, 0) + value
        self._say(tick, says)

    def _say(self, tick: int, text: str) -> None:
        texts = self._names.setdefault(tick, [])
        if text not in texts:
            texts.append(text)

    def starts(self) -> dict[str, Expr]:
        """Return what is added at time 0."""
        return self._adds.get(0, {})

    def events(self, first: int, last: int) -> tuple[Event, ...]:
        """Return the events from one tick to another, one a tick, since all of it happens at once."""
        found = []
        for tick in sorted({*self._sets, *self._adds}):
            if first <= tick <= last:
                more = {name: symbol(name) + value for name, value in self._adds.get(tick, {}).items()}
                text = "; ".join(self._names[tick])
                label = f"event_at_tick_{tick}"
                found.append(Event(label, text, tick / TICKS_PER_HOUR, {**self._sets.get(tick, {}), **more}))
        return tuple(found)
