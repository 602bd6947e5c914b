"""The chain of a course as a compiled program: the equations traced, a batch of people laid out for it.

The program depends on the variant and on the structure of the kinetics alone. It is found again for any protocol,
number of people and time grid.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.course import Course, Seen, drugs_seen
from kapsim.engine.compiled import Program, Work, build, entries_of
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.mechanisms.base import Setting
from kapsim.mechanisms.switches import Switches
from kapsim.model import Model, Traits, flatten, state_names, unflatten

Array = NDArray[np.float64]

#: What the equations know of a person, in this order, besides the parameters; each with its number of rows.
_KNOWN = ("traits", "rest", "dmn_rest", "decay", "volumes")


def chain_program(course: Course, switches: Switches) -> Program:
    """Return the program of a course under a setting of the switches.

    Parameters
    ----------
    course : Course
        Of anybody: only the structure of its kinetics matters.
    switches : Switches
        Plain numbers: what they switch off is not computed. Arrays over people: a program for any setting of them.
    """
    systems, _, n, _ = course.matrices.shape
    plain = None if _each_own(switches) else tuple(float(value) for value in switches)
    return _program(plain, course.seen, systems, n, entries_of(course.matrices))


def _each_own(switches: Switches) -> bool:
    return np.ndim(switches[0]) > 0


def _rows() -> dict[str, int]:
    """Return how many rows each of `_KNOWN` has."""
    states = len(state_names())
    return dict(zip(_KNOWN, (len(Traits._fields), states, 1, states, 2), strict=True))


@functools.lru_cache(maxsize=32)
def _program(
    switches: tuple[float, ...] | None,
    seen: Seen,
    systems: int,
    compartments: int,
    entries: tuple[tuple[int, int], ...],
) -> Program:
    from kapsim.engine.kernel_layout import Shape
    from kapsim.engine.stages import staged
    from kapsim.engine.tracing import Graph

    graph, states, identifiers = Graph(), len(state_names()), Model.parameter_ids()
    chosen = 0 if switches is not None else len(Switches._fields)
    given = graph.inputs("given", len(identifiers) + sum(_rows().values()) + chosen)
    known, place = dict[str, Any](), len(identifiers)
    for name, rows in _rows().items():
        known[name] = given[place : place + rows]
        place += rows
    own = Switches(*(given[place:] if switches is None else switches))
    values, setting = graph.inputs("states", states), graph.inputs("setting", len(Setting._fields))
    contents = np.array(graph.inputs("compartments", systems * compartments), dtype=object)
    rates = Model.build(dict(zip(identifiers, given, strict=False)), own).rates(
        unflatten(values),
        unflatten(known["rest"]),
        Traits(*known["traits"]),
        drugs_seen(seen)(contents.reshape(systems, compartments), known),
        Setting(*setting),
        dmn_rest=known["dmn_rest"][0],
    )
    # each state's own decay is what the integrator takes exactly; the rest is left to the stages
    remainder = [
        rate + decay * value for rate, decay, value in zip(flatten(rates), known["decay"], values, strict=True)
    ]
    shape = Shape(systems, compartments, states, len(given), len(setting), entries)
    return build(shape, staged(graph, remainder))


def batch_work(course: Course, start: Array, known: dict[str, Array], switches: Switches) -> Work:
    """Lay a course out for the compiled integrator.

    Parameters
    ----------
    course : Course
    start : ndarray, shape (states, patient)
    known : dict of str to ndarray, shape (..., patient)
        'values', the parameters, and what `_KNOWN` names.
    switches : Switches
        As the program has them.
    """
    grid = course.grid
    smallest, steps = min(grid.sizes), len(grid.size_index)
    exponents = np.asarray([(size // smallest).bit_length() - 1 for size in grid.sizes])
    ticks = {int(tick): node for node, tick in enumerate(grid.ticks[:-1])}
    events = [(ticks[tick], jump) for tick, jump in sorted(course.jumps.items()) if tick in ticks]
    systems, people, n, _ = course.matrices.shape
    jumps = np.zeros((len(events) + 1, systems, n, people))
    settings: dict[Setting, int] = {}
    rows = np.zeros((steps, 4), dtype=np.int32)
    rows[:, 0] = exponents[grid.size_index]
    for number, (node, jump) in enumerate(events, start=1):
        jumps[number] = jump
        rows[node, 1] = number
    rows[:, 2] = [settings.setdefault(row, len(settings)) for row in course.settings]
    rows[:, 3] = -1
    rows[course.outputs[1:] - 1, 3] = np.arange(1, len(course.outputs))
    given = [known["values"], *(np.reshape(known[name], (rows_of, people)) for name, rows_of in _rows().items())]
    if _each_own(switches):
        given.append(np.stack(switches))
    return Work(
        rows=rows,
        smallest=smallest / TICKS_PER_HOUR,
        sizes=int(exponents.max()) + 1,
        settings=np.asarray(list(settings), dtype=float),
        matrices=course.matrices,
        jumps=jumps,
        decay=known["decay"],
        start=start,
        given=np.concatenate(given),
        outputs=len(course.outputs),
    )
