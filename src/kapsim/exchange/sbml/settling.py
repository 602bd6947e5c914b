"""Putting a gathered system in order: things named once, what does not change apart, nothing that is not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kapsim.exchange.sbml.symbols import symbol
from kapsim.exchange.sbml.system import Constant, Derived, System
from kapsim.results import known_variables

if TYPE_CHECKING:
    from sympy import Expr


def renamed(derived: Sequence[Derived]) -> dict[str, str]:
    """Return mark → read-out for every mark that a read-out shows as it is."""
    import sympy

    ids = {item.id for item in derived}
    found: dict[str, str] = {}
    for item in derived:
        if isinstance(item.expression, sympy.Symbol) and str(item.expression) in ids:
            found.setdefault(str(item.expression), item.id)
    return found


def named_once(derived: Sequence[Derived]) -> list[Derived]:
    """Give every mark that a read-out shows as it is the name of the read-out."""
    new = renamed(derived)
    shown = {name: next(item for item in derived if item.id == name) for name in new.values()}
    alias = {symbol(mark): symbol(name) for mark, name in new.items()}
    found = []
    for item in derived:
        if item.id in shown:
            continue
        expression = item.expression.xreplace(alias)
        if item.id in new:
            readout = shown[new[item.id]]
            found.append(Derived(readout.id, readout.name, readout.unit, expression))
        else:
            found.append(replace(item, expression=expression))
    return found


def settled(constants: Mapping[str, Constant], derived: Sequence[Derived]) -> tuple[list[Constant], list[Derived]]:
    """Move what follows from constants alone to the constants."""
    fixed, moving, names = list(constants.values()), list[Derived](), set(constants)
    waiting = list(derived)
    changed = True
    while changed:
        changed, left = False, []
        for item in waiting:
            if {str(part) for part in item.expression.free_symbols} <= names:
                fixed.append(Constant(item.id, item.name, item.unit, expression=item.expression))
                names.add(item.id)
                changed = True
            else:
                left.append(item)
        waiting = left
    moving = waiting
    return fixed, moving


def without_unused(system: System) -> System:
    """Leave out constants and switched quantities that nothing refers to."""
    used: set[str] = set()

    def use(*expressions: Expr | None) -> None:
        for expression in expressions:
            if expression is not None:
                used.update(map(str, expression.free_symbols))

    for moving in system.integrated:
        use(moving.rate, moving.start)
    for transfer in system.transfers:
        use(transfer.rate)
    use(*(item.start for item in system.amounts), *(item.volume for item in system.compartments))
    use(*(item.expression for item in system.derived), *(item.start for item in system.switched))
    for event in system.events:
        use(*event.assignments.values())
    by_name = {item.id: item for item in system.constants}
    waiting = [*used, *(item.id for item in system.constants if item.id in known_variables())]
    while waiting:
        name = waiting.pop()
        used.add(name)
        expression = by_name[name].expression if name in by_name else None
        if expression is not None:
            waiting += [str(part) for part in expression.free_symbols if str(part) not in used]
    return replace(system, constants=tuple(item for item in system.constants if item.id in used))
