"""Protocol and people → what the engine integrates: a grid, dated inputs and each person's kinetic matrices."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.grid import TICKS_PER_HOUR, Grid, Resolution, build_grid, to_ticks
from kapsim.engine.target import step_ends, target_rates
from kapsim.evidence import load_parameters
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.pharmacokinetics import CYP_DRUGS, ROUTES, S_SHARE, Pharmacokinetics, compartments
from kapsim.patient.sampling import People
from kapsim.protocol import DoseEvent, Protocol

Array = NDArray[np.float64]

#: Micromoles in a millimole: doses are in mg, molar masses in g/mol.
MICRO_PER_MILLI = 1000.0
#: Hours after a dose at which results are kept, then every `EVERY_HOURS`.
EARLY_HOURS = (
    0.08, 0.17, 0.25, 0.33, 0.5, 0.67, 0.75, 0.83, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0,
    16.0, 20.0,
)  # fmt: skip
EVERY_HOURS = 8.0
#: Shortest time between two changes of the rate of a target-controlled pump, in ticks: a minute.
PUMP_TICKS = TICKS_PER_HOUR // 60
#: Where drug in the veins is, as far as a pump can know.
IN_BLOOD = ("central", "rapid", "slow")
#: Therapy that gives no corrective experience.
SHAM = frozenset({"sham_training"})


#: Positions of the compartments that drive the chain, counted from the end (see `pharmacokinetics.COMPARTMENTS`).
CENTRAL, NORKETAMINE, HYDROXYNORKETAMINE, EFFECT = -11, -6, -4, -1


class Part(NamedTuple):
    """A part of a dose that is given at one rate."""

    start: int  # tick
    end: int  # tick; the start where all is given at once
    milligrams: Array  # (patient,)


@dataclass(frozen=True)
class Course:
    """One protocol for one sample of people, on a grid.

    Parameters
    ----------
    grid : Grid
    outputs : ndarray of int
        Positions of the nodes at which results are kept; the first is 0, the last is the horizon.
    compartments : tuple of str
        Names of the kinetic compartments.
    systems : tuple of str
        'r' and 's' and, where it is given, 'midazolam'.
    matrices : ndarray, shape (systems, patient, n, n)
        Rate matrices, 1/h.
    jumps : dict of int to ndarray, shape (systems, n, patient)
        What is added to the compartments at a tick (umol; for `pump`, umol/h).
    settings : list of Setting
        Setting of each step.
    dose_ticks : tuple of int
        Starts of doses.
    given : ndarray, shape (patient,)
        Ketamine given over the course, both enantiomers, mg of base.
    """

    grid: Grid
    outputs: NDArray[np.int64]
    compartments: tuple[str, ...]
    systems: tuple[str, ...]
    matrices: Array
    jumps: dict[int, Array]
    settings: list[Setting]
    dose_ticks: tuple[int, ...]
    given: Array


def build_course(protocol: Protocol, people: People, resolution: Resolution | None = None) -> Course:
    """Lay a protocol out for a sample of people.

    Parameters
    ----------
    protocol : Protocol
    people : People
    resolution : Resolution, optional
        How fine the grid is.
    """
    doses, spans = protocol.dose_events(), _spans(protocol)
    starts = tuple(to_ticks(dose.start_h) for dose in doses)
    ends = tuple(
        max(to_ticks(dose.end_h), start + 1) if dose.duration_h else start
        for dose, start in zip(doses, starts, strict=True)
    )
    horizon = to_ticks(protocol.horizon_h)
    pumped = _pumped(doses, starts, ends, people)
    # the rate falls steeply after the first step of a target and little by little after the others
    sharp = {*starts, *ends, *(steps[0].end for steps in pumped.values())}
    soft = {tick for start, end, _, _ in spans for tick in (start, end)}
    soft |= {step.end for steps in pumped.values() for step in steps}
    ratings = [to_ticks(hours) for hours in protocol.rating_times()]
    grid = build_grid(horizon, sharp, soft, ratings, resolution or Resolution())
    kinetics = Pharmacokinetics.build(people.values)
    names = compartments(frozenset(dose.pathway for dose in doses if dose.pathway in ROUTES))
    systems = ("s", "r", "midazolam") if any(dose.drug == "midazolam" for dose in doses) else ("s", "r")
    taken = frozenset(item.drug for item in protocol.co_medications() if item.drug in CYP_DRUGS)
    matrices = np.stack([rate_matrix(kinetics, system, people, names, taken) for system in systems])
    jumps: dict[int, Array] = {}
    given = np.zeros(people.size)
    for number, (dose, start, end) in enumerate(zip(doses, starts, ends, strict=True)):
        occasion = people.keyed.normal(f"occasion:{number}", people.size)
        milligrams = dose.amount * (people.body.weight if dose.unit == "mg/kg" else np.ones(people.size))
        for part in pumped.get(number, [Part(start, end, milligrams)]):
            given += part.milligrams * (dose.drug in S_SHARE)
            for depot, system, amount in _amounts(kinetics, dose.drug, dose.pathway, part.milligrams, occasion, people):
                m = systems.index(system)
                if depot == "central" and part.end > part.start:
                    rate = amount * TICKS_PER_HOUR / (part.end - part.start)
                    for tick, sign in ((part.start, 1.0), (part.end, -1.0)):
                        _jump(jumps, tick, len(systems), names, people.size)[m, names.index("pump")] += sign * rate
                else:
                    _jump(jumps, part.start, len(systems), names, people.size)[m, names.index(depot)] += amount
    wanted = {0, horizon, *ratings, *starts, *ends}
    wanted |= {start + to_ticks(early) for start in starts for early in EARLY_HOURS}
    wanted |= set(range(0, horizon, to_ticks(EVERY_HOURS)))
    outputs = grid.nearest(tick for tick in wanted if tick <= horizon)
    settings = [_setting(protocol, spans, int(tick)) for tick in grid.ticks[:-1]]
    return Course(grid, outputs, names, systems, matrices, jumps, settings, starts, given)


def rate_matrix(
    kinetics: Pharmacokinetics, system: str, people: People, names: tuple[str, ...], taken: frozenset[str]
) -> Array:
    """Return the rate matrices of one system, shape (patient, n, n), 1/h."""
    matrix = np.zeros((people.size, len(names), len(names)))
    if system == "midazolam":
        matrix[:, names.index("central"), names.index("pump")] = 1.0
        matrix[:, names.index("central"), names.index("central")] = -np.log(2.0) / kinetics.midazolam_half_life
        return matrix
    for flow in kinetics.flows(system, people.body, taken):
        if flow.source not in names:
            continue
        source = names.index(flow.source)
        if not flow.copies:
            matrix[:, source, source] -= flow.rate
        if flow.target is not None:
            matrix[:, names.index(flow.target), source] += flow.rate
    return matrix


def metabolite_volumes(kinetics: Pharmacokinetics, people: People) -> Array:
    """Return the central volumes of norketamine and hydroxynorketamine, L, shape (2, patient)."""
    size = people.body.weight / kinetics.reference_weight
    return np.stack([kinetics.v1_norketamine * size, kinetics.v1_hnk * size])


def drugs_seen(amounts: Any, args: Mapping[str, Any]) -> Drugs:
    """Return what the chain sees of compartments of shape (systems, n, ..., patient).

    `args` holds 'volumes', see `metabolite_volumes`. Pure arithmetic: runs on NumPy and JAX arrays.
    """
    norketamine, hydroxynorketamine = args["volumes"]
    metabolite = amounts[:2, HYDROXYNORKETAMINE].sum(axis=0) / hydroxynorketamine
    return Drugs(
        s_ketamine=amounts[0, EFFECT],
        r_ketamine=amounts[1, EFFECT],
        s_norketamine=amounts[0, NORKETAMINE] / norketamine,
        r_norketamine=amounts[1, NORKETAMINE] / norketamine,
        hydroxynorketamine=metabolite,
        midazolam=amounts[2, CENTRAL] if amounts.shape[0] == 3 else 0.0 * metabolite,
    )


def _pumped(
    doses: tuple[DoseEvent, ...], starts: tuple[int, ...], ends: tuple[int, ...], people: People
) -> dict[int, list[Part]]:
    """Return the parts of every target-controlled infusion, by the number of its dose.

    A pump knows the kinetics of the typical person and the patient's weight, age and sex; it reckons with what it gave
    of the same drug before, and with nothing else (other routes, other medicines, the patient's own kinetics).
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


def _amounts(
    kinetics: Pharmacokinetics, drug: str, route: str, milligrams: Array, occasion: Array, people: People
) -> list[tuple[str, str, Array]]:
    """Return (depot, system, amount) of one dose; nothing for a control without drug."""
    if drug == "midazolam":
        return [("central", "midazolam", milligrams / people.body.weight / kinetics.midazolam_reference)]
    if drug not in S_SHARE:
        return []
    micromoles = MICRO_PER_MILLI * milligrams / kinetics.molar_mass
    shares = {"s": S_SHARE[drug], "r": 1.0 - S_SHARE[drug]}
    return [
        (depot, system, part * share * micromoles)
        for depot, part in kinetics.entry(drug, route, milligrams, occasion).items()
        for system, share in shares.items()
        if share > 0.0
    ]


def _jump(jumps: dict[int, Array], tick: int, systems: int, names: tuple[str, ...], size: int) -> Array:
    return jumps.setdefault(tick, np.zeros((systems, len(names), size)))


def _spans(protocol: Protocol) -> list[tuple[int, int, str, float]]:
    """Return (start, end, field of `Setting`, level) of everything that holds for a while, in ticks."""
    visit = load_parameters()["mind.contact_hours"].value
    spans: list[tuple[float, float, str, float]] = []
    spans += [
        (dose.start_h, dose.start_h + max(dose.duration_h, visit), "contact", 1.0) for dose in protocol.dose_events()
    ]
    for session in protocol.session_events():
        spans.append((session.start_h, session.end_h, "contact", 1.0))
        spans.append((session.start_h, session.end_h, "therapy", 0.0 if session.kind in SHAM else 1.0))
    spans += [(s.start_h, s.start_h + s.duration_h, "stressor", s.intensity) for s in protocol.stressor_events()]
    if protocol.practice is not None:
        spans.append((protocol.practice.start_h, protocol.practice.end_h, "practice", protocol.practice.level))
    for item in protocol.co_medications():
        field = "masked" if item.drug == "anaesthesia" else item.drug
        if field in Setting._fields:
            spans.append((item.start_h, item.end_h, field, 1.0))
    return [(to_ticks(start), to_ticks(end), field, level) for start, end, field, level in spans]


def _setting(protocol: Protocol, spans: list[tuple[int, int, str, float]], tick: int) -> Setting:
    """Return what holds from `tick` on; where spans of one kind overlap, the strongest counts."""
    levels = dict.fromkeys(Setting._fields, 0.0)
    levels["blinded"] = float(protocol.masking != "open")
    levels["masked"] = float(protocol.masking == "anaesthesia")
    for start, end, field, level in spans:
        if start <= tick < end:
            levels[field] = max(levels[field], level)
    return Setting(**levels)
