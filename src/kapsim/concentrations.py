"""Contents of compartments → concentrations, and the kinetics alone, solved exactly without the rest of the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kapsim.course import Course, build_course
from kapsim.engine.grid import TICKS_PER_HOUR, Resolution
from kapsim.engine.linear import propagators
from kapsim.errors import SolverError
from kapsim.kinetic_sets import DEFAULT
from kapsim.mechanisms.kinetics import Body, Kinetics
from kapsim.patient.sampling import People
from kapsim.protocol.events import Regimen

Array = NDArray[np.float64]

#: People solved at a time: their matrices and courses stay in the cache of a core.
PEOPLE_AT_A_TIME = 128
EVERYBODY = slice(None)


@dataclass(frozen=True)
class Concentrations:
    """Concentrations in total drug, ng/mL, each of shape (time, patient); `effect_` is the effect site.

    `plasma_ketamine_` and `plasma_norketamine_` hold both enantiomers, hydroxynorketamine all its isomers. A metabolite
    that the kinetics lack is zero; a site that they lack shows the other.
    """

    hours: Array  # (time,)
    plasma_s_ketamine_arterial: Array
    plasma_r_ketamine_arterial: Array
    plasma_ketamine_arterial: Array
    plasma_s_ketamine_venous: Array
    plasma_r_ketamine_venous: Array
    plasma_ketamine_venous: Array
    plasma_s_norketamine_arterial: Array
    plasma_r_norketamine_arterial: Array
    plasma_norketamine_arterial: Array
    plasma_s_norketamine_venous: Array
    plasma_r_norketamine_venous: Array
    plasma_norketamine_venous: Array
    hydroxynorketamine: Array
    effect_s_ketamine: Array
    effect_r_ketamine: Array
    effect_ketamine: Array


#: What there is of a solved course, besides the hours.
NAMES = tuple(item.name for item in fields(Concentrations) if item.name != "hours")


def concentration_course(
    protocol: Regimen,
    people: People,
    kinetics: str = DEFAULT,
    *,
    at: Sequence[float] | None = None,
    resolution: Resolution | None = None,
) -> Concentrations:
    """Solve the kinetics of a protocol alone, at every node of its time grid.

    Parameters
    ----------
    protocol : Regimen
        A protocol, or other dated events.
    people : People
    kinetics : str
        Name of the kinetics, see `kapsim.kinetic_sets`.
    at : sequence of float, optional
        Times, h, that must be nodes, to the nearest tick of the grid.
    resolution : Resolution, optional
        How fine the grid is; the solution is exact on any.

    Returns
    -------
    Concentrations
        At a node where drug is given, what was there just before.

    Raises
    ------
    InputError
        Where the kinetics are unknown or do not know a dose of the protocol.
    SolverError
        Where a concentration of a person is not finite.
    """
    course = build_course(protocol, people, resolution, kinetics, at=at)
    masses = [people.values[f"pk.molar_mass.{name}"] for name in ("norketamine", "hydroxynorketamine")]
    hours = course.grid.hours
    found = {name: np.empty((len(hours), people.size)) for name in NAMES}
    for first in range(0, people.size, PEOPLE_AT_A_TIME):
        part = slice(first, first + PEOPLE_AT_A_TIME)
        own = course.kinetics.of(part)
        body = Body(*(np.asarray(value)[part] for value in people.body))
        amounts = propagate(course, part)
        read = plasma(own, body, course, amounts, (masses[0][part], masses[1][part]))
        for name in NAMES:
            found[name][:, part] = read[name]
    for name, values in found.items():
        broken = ~np.isfinite(values)
        if broken.any():
            patient = int(np.argmax(broken.any(axis=0)))
            node = int(np.argmax(broken[:, patient]))
            raise SolverError(patient, float(hours[max(node - 1, 0)]), name)
    return Concentrations(hours, **found)


def plasma(
    kinetics: Kinetics, body: Body, course: Course, amounts: Array, masses: tuple[Array, Array]
) -> dict[str, Array]:
    """Return every concentration of `Concentrations`, ng/mL.

    Parameters
    ----------
    kinetics, body
        Of the people in `amounts`.
    course : Course
        Names the systems and compartments.
    amounts : ndarray, shape (time, systems, compartments, patient)
        umol, or umol/L in what follows.
    masses : tuple of ndarray
        Molar masses of norketamine and hydroxynorketamine, g/mol.
    """
    by_system = {
        system: kinetics.concentrations({name: amounts[:, m, k] for k, name in enumerate(course.compartments)}, body)
        for m, system in enumerate(course.systems)
        if system in ("s", "r")
    }
    s, r = by_system["s"], by_system["r"]
    found: dict[str, Array] = {}
    for site in ("arterial", "venous"):
        for system, read in (("s", s), ("r", r)):
            found[f"plasma_{system}_ketamine_{site}"] = read[site] * kinetics.molar_mass
            found[f"plasma_{system}_norketamine_{site}"] = read["norketamine"] * masses[0]
        found[f"plasma_ketamine_{site}"] = found[f"plasma_s_ketamine_{site}"] + found[f"plasma_r_ketamine_{site}"]
        found[f"plasma_norketamine_{site}"] = (s["norketamine"] + r["norketamine"]) * masses[0]
    found["hydroxynorketamine"] = (s["hydroxynorketamine"] + r["hydroxynorketamine"]) * masses[1]
    for system, read in (("s", s), ("r", r)):
        found[f"effect_{system}_ketamine"] = read["effect"] * kinetics.molar_mass
    found["effect_ketamine"] = found["effect_s_ketamine"] + found["effect_r_ketamine"]
    return found


def propagate(course: Course, part: slice = EVERYBODY) -> Array:
    """Return the contents of every compartment at every node.

    Parameters
    ----------
    course : Course
    part : slice
        Which people.

    Returns
    -------
    ndarray, shape (nodes, systems, n, patients of the part)
        umol; umol/h in pumps and umol/L in what follows another compartment.
    """
    grid = course.grid
    smallest = min(grid.sizes)
    doublings = (max(grid.sizes) // smallest).bit_length() - 1
    systems, people, n, _ = course.matrices[:, part].shape
    # what is given nowhere stays empty
    given = [m for m in range(systems) if any(jump[m].any() for jump in course.jumps.values())]
    amounts = np.zeros((len(grid.ticks), systems, n, people))
    if not given:
        return amounts
    powers = propagators(course.matrices[given, part], smallest / TICKS_PER_HOUR, doublings)
    steps = [powers[(size // smallest).bit_length() - 1] for size in grid.sizes]
    jumps: Mapping[int, Array] = {tick: jump[given][:, :, part] for tick, jump in course.jumps.items()}
    now = np.zeros((len(given), people, n, 1))
    for node, size in enumerate(grid.size_index):
        jump = jumps.get(int(grid.ticks[node]))
        if jump is not None:
            now = now + np.moveaxis(jump, 1, -1)[..., None]
        now = steps[size] @ now
        amounts[node + 1, given] = np.moveaxis(now[..., 0], -1, 1)
    return amounts
