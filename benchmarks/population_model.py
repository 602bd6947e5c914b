"""The course of `population.py` for a peer: exported SBML, and a table of what differs between patients.

The peer is given the export at its leanest: read-outs that nobody asked for are left out, the contested links stand as
plain numbers, and what follows from constants alone is worked out beforehand. What a peer evaluates is the chain that
kapsim evaluates. The response surface stays in functions, which libRoadRunner evaluates faster than one expression.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: What is compared, by the ids of the export; kapsim's results have the same names.
OUTPUTS = (
    "plasma_ketamine_venous",
    "glutamate",
    "spine_density",
    "negative_belief",
    "schema",
    "madrs_momentary",
)


def given_to_peers(protocol: Any, people: Any, hours: Array) -> dict[str, Any]:
    """Return everything that a peer needs, as arrays and texts."""
    from kapsim.exchange.sbml.chain import chain_system
    from kapsim.exchange.sbml.document import sbml_text
    from kapsim.exchange.sbml.settling import without_unused

    first = chain_system(protocol, people.of(0), name="population", title="One of a population")
    lean = without_unused(_lean(first))
    constants = _constants(first, protocol, people)
    plain = {item.id for item in lean.constants}
    starts = {item.id: item.start for item in (*lean.integrated, *lean.switched)}
    begin = {name: _evaluate(expression, constants, people.size) for name, expression in starts.items()}
    switched = tuple(item.id for item in lean.switched)
    ids = (*sorted(plain), *(item.id for item in lean.integrated))
    table = np.stack([{**constants, **begin}[name] for name in ids], axis=1)
    bounds, levels = _segments(lean, constants, begin, switched, people.size)
    numbers = {**{name: float(constants[name][0]) for name in plain}, **{k: float(v[0]) for k, v in begin.items()}}
    fixed = replace(
        lean,
        constants=tuple(replace(item, value=numbers[item.id], expression=None) for item in lean.constants),
        integrated=tuple(replace(item, start=_number(numbers[item.id])) for item in lean.integrated),
        switched=tuple(replace(item, start=_number(numbers[item.id])) for item in lean.switched),
    )
    return {
        "events_sbml": sbml_text(fixed),
        # what changes only between segments is a parameter like any other there
        "segments_sbml": sbml_text(replace(fixed, events=())),
        "ids": np.asarray(ids),
        "values": table,
        "switched": np.asarray(switched),
        "bounds": bounds,
        "levels": levels,
        "hours": hours,
        "outputs": np.asarray(OUTPUTS),
        "states": len(fixed.states),
    }


def _number(value: float) -> Any:
    import sympy

    return sympy.Float(value, 17)


def _lean(system: Any) -> Any:
    """Return a system without what nobody asked for, its contested links as plain numbers."""
    import sympy

    from kapsim.exchange.sbml.symbols import number, symbol
    from kapsim.exchange.sbml.system import Function

    plain = {symbol(c.id): number(c.value) for c in system.constants if c.id.startswith("switch_")}
    bodies = {item.id: item.body for item in system.functions}

    def own(expression: Any) -> Any:
        calls = {call: bodies[call.func.__name__] for call in expression.atoms(sympy.core.function.AppliedUndef)}
        return expression.xreplace(calls).xreplace(plain)

    derived = {item.id: replace(item, expression=own(item.expression)) for item in system.derived}
    wanted: set[str] = set()
    waiting = [name for name in OUTPUTS if name in derived]
    for rate in (*(item.rate for item in system.integrated), *(item.rate for item in system.transfers)):
        waiting += [str(part) for part in own(rate).free_symbols if str(part) in derived]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += [str(part) for part in derived[name].expression.free_symbols if str(part) in derived]
    functions, kept = [], []
    for name, item in derived.items():
        if name not in wanted:
            continue
        if name.startswith("surface_") or name == "dmn_activity":
            arguments = sorted(item.expression.free_symbols, key=str)
            functions.append(Function(f"of_{name}", item.name, tuple(map(str, arguments)), item.expression))
            item = replace(item, expression=sympy.Function(f"of_{name}")(*arguments))
        kept.append(item)
    ratings = ("madrs", "hama")
    events = []
    for event in system.events:
        left = {name: value for name, value in event.assignments.items() if not name.startswith(ratings)}
        if left:
            events.append(replace(event, assignments=left))
    return replace(
        system,
        constants=tuple(
            item if item.expression is None else replace(item, expression=own(item.expression))
            for item in system.constants
        ),
        derived=tuple(kept),
        functions=tuple(functions),
        events=tuple(events),
        integrated=tuple(replace(item, rate=own(item.rate)) for item in system.integrated),
        transfers=tuple(replace(item, rate=own(item.rate)) for item in system.transfers),
        switched=tuple(item for item in system.switched if not item.id.startswith(ratings)),
    )


def _constants(system: Any, protocol: Any, people: Any) -> dict[str, Array]:
    """Return the value of every constant for every patient, shape (patient,)."""
    from kapsim.course import build_course
    from kapsim.evidence import load_parameters
    from kapsim.exchange.sbml.symbols import identifier
    from kapsim.exchange.sbml.timetable import dose_constants

    known: dict[str, Array] = {identifier(name): people.values[name] for name in load_parameters()}
    known |= {f"trait_{name}": np.asarray(value) for name, value in people.traits._asdict().items()}
    known |= people.body._asdict()
    course = build_course(protocol, people)
    per_patient = []
    for number in range(people.size):
        deliveries = tuple(replace_part(item, number) for item in course.deliveries)
        one = replace(course, deliveries=deliveries)
        per_patient.append({c.id: c.value for _, _, made in dose_constants(one, protocol.dose_events()) for c in made})
    known |= {name: np.asarray([row[name] for row in per_patient]) for name in per_patient[0]}
    found: dict[str, Array] = {}
    for item in system.constants:
        if item.expression is None:
            # what is in none of these is the same for everybody: switches, and what is done all the time
            found[item.id] = np.asarray(known.get(item.id, np.full(people.size, item.value)), dtype=float)
    for item in system.constants:
        if item.expression is not None:
            found[item.id] = _evaluate(item.expression, found, people.size)
    return found


def replace_part(item: Any, number: int) -> Any:
    """Return a delivery as one patient has it."""
    part = slice(number, number + 1)
    ticks = None if item.ticks is None else item.ticks[part]
    return item._replace(milligrams=item.milligrams[part], amount=item.amount[part], ticks=ticks)


def _evaluate(expression: Any, values: dict[str, Array], size: int) -> Array:
    import sympy

    names = sorted(map(str, expression.free_symbols))
    symbols = [next(part for part in expression.free_symbols if str(part) == name) for name in names]
    function = sympy.lambdify(symbols, expression, modules="numpy", cse=True)
    return np.broadcast_to(np.asarray(function(*(values[name] for name in names)), dtype=float), (size,))


def _segments(
    system: Any, constants: dict[str, Array], begin: dict[str, Array], switched: tuple[str, ...], size: int
) -> tuple[Array, Array]:
    """Return the ends of the segments and what holds in each, shape (segment, patient, switched)."""
    now = {name: begin[name] for name in switched}
    bounds, levels = [0.0], [np.stack([now[name] for name in switched], axis=1)]
    for event in sorted(system.events, key=lambda item: item.hour):
        if event.hour >= system.horizon_h:
            continue
        values = {**constants, **now}
        now = {**now, **{k: _evaluate(v, values, size) for k, v in event.assignments.items()}}
        bounds.append(event.hour)
        levels.append(np.stack([now[name] for name in switched], axis=1))
    return np.asarray([*bounds, system.horizon_h]), np.stack(levels)
