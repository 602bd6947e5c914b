"""Target-controlled infusions: the rate profile of a pump that knows the typical person."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.engine.target import step_ends, target_rates
from kapsim.evidence import load_parameters
from kapsim.kinetic_sets import rate_matrix
from kapsim.mechanisms.pharmacokinetics import S_SHARE, Pharmacokinetics, compartments
from kapsim.patient.sampling import People
from kapsim.protocol.events import DoseEvent

Array = NDArray[np.float64]

#: Shortest time between two changes of the rate of a pump, in ticks: a minute.
PUMP_TICKS = TICKS_PER_HOUR // 60
#: Where drug in the veins is, as far as a pump can know.
IN_BLOOD = ("central", "rapid", "slow")
#: Micromoles in a millimole: doses are in mg, molar masses in g/mol.
MICRO_PER_MILLI = 1000.0


class Part(NamedTuple):
    """A part of a dose that is given at one rate."""

    start: int  # tick
    end: int  # tick; the start where all is given at once
    milligrams: Array  # (patient,)


def pump_profiles(
    doses: Sequence[DoseEvent], starts: Sequence[int], ends: Sequence[int], people: People
) -> dict[int, list[Part]]:
    """Return the parts of every target-controlled infusion, by the number of its dose.

    A pump knows the kinetics of the typical person and the patient's weight, age and sex; it reckons with what it gave
    of the same drug before, and with nothing else (other routes, other medicines, the patient's own kinetics).

    Parameters
    ----------
    doses : sequence of DoseEvent
    starts, ends : sequence of int
        Of the doses, in ticks.
    people : People
    """
    found: dict[int, list[Part]] = {}
    for drug, share in S_SHARE.items():
        numbers = [number for number, dose in enumerate(doses) if dose.is_target and dose.drug == drug]
        if not numbers:
            continue
        known = Pharmacokinetics.build({name: float(record.value) for name, record in load_parameters().items()})
        systems = {system: part for system, part in (("s", share), ("r", 1.0 - share)) if part > 0.0}
        names = compartments(frozenset())
        place = [names.index(name) for name in IN_BLOOD]
        size = len(IN_BLOOD)
        matrix = np.zeros((people.size, len(systems) * size, len(systems) * size))
        inlet = np.zeros((people.size, len(systems) * size))
        observed = np.zeros_like(inlet)
        for k, (system, part) in enumerate(systems.items()):
            block = slice(k * size, (k + 1) * size)
            matrix[:, block, block] = rate_matrix(known, system, people, names, frozenset())[:, place][:, :, place]
            inlet[:, k * size] = part
            observed[:, k * size] = MICRO_PER_MILLI / known.volume(people.body)
        steps: list[tuple[int, int, float, int]] = []
        for number in numbers:
            if steps and steps[-1][1] < starts[number]:
                steps.append((steps[-1][1], starts[number], 0.0, -1))
            edges = [starts[number], *step_ends(starts[number], ends[number], PUMP_TICKS)]
            steps += [(a, b, doses[number].amount, number) for a, b in itertools.pairwise(edges)]
        hours = [(stop - start) / TICKS_PER_HOUR for start, stop, _, _ in steps]
        rates = target_rates(matrix, inlet, observed, hours, [step[2] for step in steps])
        for (start, stop, _, number), hour, rate in zip(steps, hours, rates, strict=True):
            if number >= 0:
                found.setdefault(number, []).append(Part(start, stop, rate * hour))
    return found
