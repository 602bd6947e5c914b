"""Protocol and people → what the engine integrates: a grid, dated inputs and each person's kinetic matrices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.grid import TICKS_PER_HOUR, Grid, Resolution, build_grid, to_ticks
from kapsim.evidence import load_parameters
from kapsim.kinetic_sets import DEFAULT, build_kinetics, check_protocol, rate_matrix, s_shares
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.kinetics import Input, Kinetics, pump_of
from kapsim.mechanisms.pharmacokinetics import CYP_DRUGS
from kapsim.patient.sampling import People
from kapsim.protocol.events import DoseEvent, Regimen
from kapsim.pumps import MICRO_PER_MILLI, Part, pump_profiles
from kapsim.scales import recall_hours

Array = NDArray[np.float64]

#: Hours after a dose at which results are kept, then every `EVERY_HOURS`.
EARLY_HOURS = (
    0.08, 0.17, 0.25, 0.33, 0.5, 0.67, 0.75, 0.83, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0,
    16.0, 20.0,
)  # fmt: skip
EVERY_HOURS = 8.0
#: Therapy that gives no corrective experience.
SHAM = frozenset({"sham_training"})
#: Fields of `Setting` whose names are not those of the medicine or care that sets them.
_FIELDS = {
    "anaesthesia": "masked",
    "oral_antidepressant": "antidepressant",
    "usual_care": "care",
    "inpatient_care": "ward",
}


class Seen(NamedTuple):
    """Positions of the compartments that drive the chain, counted from the end, where depots do not shift them.

    None stands for a metabolite that the kinetics lack.
    """

    central: int
    norketamine: int | None
    hydroxynorketamine: int | None
    effect: int


class Delivery(NamedTuple):
    """What a part of a dose brings into one compartment of one system.

    At once at `start`, or, where there are `ticks`, at a constant rate over each person's whole number of them.
    """

    dose: int  # number of the dose, from 0
    part: int  # number of the part, from 0: a target-controlled infusion has many
    milligrams: Array  # (patient,), of the part
    system: str
    compartment: str
    amount: Array  # (patient,), umol; of midazolam in reference doses
    start: int  # tick
    ticks: Array | None  # (patient,)


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
    kinetics : Kinetics
        The set in use, with each person's parameters.
    given : ndarray, shape (patient,)
        Ketamine given over the course, both enantiomers, mg of base.
    deliveries : tuple of Delivery
        What `jumps` are made of.
    """

    grid: Grid
    outputs: NDArray[np.int64]
    compartments: tuple[str, ...]
    systems: tuple[str, ...]
    matrices: Array
    jumps: dict[int, Array]
    settings: list[Setting]
    dose_ticks: tuple[int, ...]
    kinetics: Kinetics
    given: Array
    deliveries: tuple[Delivery, ...]

    @property
    def seen(self) -> Seen:
        """Where the compartments stand that drive the chain."""
        behind = {name: place - len(self.compartments) for place, name in enumerate(self.compartments)}
        metabolites = (behind.get("norketamine"), behind.get("hydroxynorketamine"))
        return Seen(behind["central"], *metabolites, behind["effect"])


def build_course(
    protocol: Regimen,
    people: People,
    resolution: Resolution | None = None,
    kinetics: str = DEFAULT,
    *,
    at: Sequence[float] | None = None,
) -> Course:
    """Lay a protocol out for a sample of people.

    Parameters
    ----------
    protocol : Regimen
        A protocol, or other dated events.
    people : People
    resolution : Resolution, optional
        How fine the grid is.
    kinetics : str
        Name of the kinetics, see `kapsim.kinetic_sets`.
    at : sequence of float, optional
        Times, h, at which results are kept instead of the usual ones, beside ratings and doses; unlike a rating, they
        change nothing.

    Raises
    ------
    InputError
        Where the kinetics are unknown or do not know a dose of the protocol.
    """
    doses, spans = protocol.dose_events(), _spans(protocol)
    check_protocol(kinetics, protocol)
    chosen = build_kinetics(kinetics, people)
    taken = frozenset(item.drug for item in protocol.co_medications() if item.drug in CYP_DRUGS)
    holding = s_shares()
    given = [dose for dose in doses if dose.drug in holding]
    starts = tuple(to_ticks(dose.start_h) for dose in doses)
    ends = tuple(
        max(to_ticks(dose.end_h), start + 1) if dose.duration_h else start
        for dose, start in zip(doses, starts, strict=True)
    )
    horizon = to_ticks(protocol.horizon_h)
    pumped = pump_profiles(doses, starts, ends, people)
    # the rate falls steeply after the first step of a target and little by little after the others
    sharp = {*starts, *ends, *(steps[0].end for steps in pumped.values())}
    soft = {tick for start, end, _, _ in spans for tick in (start, end)}
    soft |= {step.end for steps in pumped.values() for step in steps}
    ratings = [to_ticks(hours) for hours in (*protocol.rating_times(), *(at or ()))]
    if at is not None:
        # where a rating begins to look back: between distant outputs its integral could not be interpolated
        begins = {visit - recall for visit in protocol.rating_times() for recall in recall_hours()}
        ratings += [to_ticks(hours) for hours in begins if hours > 0.0]
    sharp |= {tick for dose in given for tick in _release_ticks(chosen, dose, people)}
    grid = build_grid(horizon, sharp, soft, ratings, resolution or Resolution())
    names = chosen.compartments(frozenset(dose.pathway for dose in given))
    systems = ("s", "r", "midazolam") if any(dose.drug == "midazolam" for dose in doses) else ("s", "r")
    matrices = np.stack([rate_matrix(chosen, system, people, names, taken) for system in systems])
    parts = [
        pumped.get(number) or [Part(start, end, _milligrams(dose, people))]
        for number, (dose, start, end) in enumerate(zip(doses, starts, ends, strict=True))
    ]
    deliveries = tuple(_deliveries(chosen, doses, parts, people))
    jumps = _Jumps(grid, names, systems, people.size)
    for item in deliveries:
        if item.ticks is None:
            jumps.add(item.start, item.system, item.compartment, item.amount)
        else:
            jumps.release(item.system, item.compartment, item.amount, item.start, item.ticks)
    wanted = {0, horizon, *ratings, *starts, *ends}
    if at is None:
        wanted |= {start + to_ticks(early) for start in starts for early in EARLY_HOURS}
        wanted |= set(range(0, horizon, to_ticks(EVERY_HOURS)))
    outputs = grid.nearest(tick for tick in wanted if tick <= horizon)
    settings = _settings(protocol, spans, grid.ticks[:-1])
    total = np.zeros(people.size)
    for dose, own in zip(doses, parts, strict=True):
        total += sum(part.milligrams for part in own) * (dose.drug in holding)
    return Course(grid, outputs, names, systems, matrices, jumps.at, settings, starts, chosen, total, deliveries)


def metabolite_volumes(kinetics: Kinetics, people: People) -> Array:
    """Return the central volumes of norketamine and hydroxynorketamine, L, shape (2, patient)."""
    return np.stack([value + np.zeros(people.size) for value in kinetics.metabolite_volumes(people.body)])


@functools.cache
def drugs_seen(where: Seen) -> Callable[[Any, Mapping[str, Any]], Drugs]:
    """Return a function of compartments, shape (systems, n, ..., patient), to what the chain sees of them.

    Its second argument holds 'volumes', see `metabolite_volumes`. Pure arithmetic: it runs on NumPy and JAX arrays. One
    set of positions has one function, so that a compiled program is found again.
    """

    def seen(amounts: Any, args: Mapping[str, Any]) -> Drugs:
        norketamine, hydroxynorketamine = args["volumes"]
        nothing = 0.0 * amounts[0, where.effect]
        metabolite = nothing
        if where.hydroxynorketamine is not None:
            metabolite = amounts[:2, where.hydroxynorketamine].sum(axis=0) / hydroxynorketamine
        first = where.norketamine
        return Drugs(
            s_ketamine=amounts[0, where.effect],
            r_ketamine=amounts[1, where.effect],
            s_norketamine=nothing if first is None else amounts[0, first] / norketamine,
            r_norketamine=nothing if first is None else amounts[1, first] / norketamine,
            hydroxynorketamine=metabolite,
            midazolam=amounts[2, where.central] if amounts.shape[0] == 3 else 0.0 * metabolite,
        )

    return seen


def _milligrams(dose: DoseEvent, people: People) -> Array:
    per_unit = people.body.weight if dose.unit == "mg/kg" else np.ones(people.size)
    return np.asarray((dose.amount if dose.amounts is None else dose.amounts) * per_unit)


def _earlier(doses: Sequence[DoseEvent], number: int, people: People) -> Array:
    """Return what of the same drug was sprayed before in the session of dose `number`, mg."""
    own, session = doses[number], load_parameters()["pk.nasal.session"].value
    total = np.zeros(people.size)
    if own.route == "intranasal":
        for dose in doses[:number]:
            if (dose.drug, dose.route) == (own.drug, own.route) and own.start_h - dose.start_h <= session:
                total += _milligrams(dose, people)
    return total


def _inputs(
    kinetics: Kinetics, dose: DoseEvent, milligrams: Array, earlier: Array, number: int, people: People
) -> Iterable[tuple[Input, dict[str, Array]]]:
    """Yield the inputs of one dose with the amount that each adds to each system; nothing for a control."""
    if dose.drug == "midazolam":
        amount = milligrams / people.body.weight / kinetics.midazolam_reference
        yield Input("central", 1.0), {"midazolam": amount}
        return
    share_of_s = s_shares().get(dose.drug)
    if share_of_s is None:
        return

    def deviate(purpose: str) -> Array:
        return people.keyed.normal(f"occasion:{number}{purpose and ':'}{purpose}", people.size)

    micromoles = MICRO_PER_MILLI * milligrams / kinetics.molar_mass
    shares = {"s": share_of_s, "r": 1.0 - share_of_s}
    for item in kinetics.inputs(dose.drug, dose.pathway, milligrams, deviate, earlier):
        yield item, {system: item.share * share * micromoles for system, share in shares.items() if share > 0.0}


def _deliveries(
    kinetics: Kinetics, doses: Sequence[DoseEvent], parts: Sequence[Sequence[Part]], people: People
) -> Iterator[Delivery]:
    """Yield what every part of every dose brings where."""
    for number, dose in enumerate(doses):
        earlier = _earlier(doses, number, people)
        for place, part in enumerate(parts[number]):
            for item, shares in _inputs(kinetics, dose, part.milligrams, earlier, number, people):
                ticks: Array | None = None
                if item.compartment == "central" and part.end > part.start:
                    ticks = np.full(people.size, float(part.end - part.start))
                elif np.any(np.asarray(item.duration) > 0.0):
                    ticks = _whole_ticks(item.duration, people.size)
                start = part.start + to_ticks(item.delay)
                for system, amount in shares.items():
                    yield Delivery(number, place, part.milligrams, system, item.compartment, amount, start, ticks)


def _whole_ticks(duration: Any, size: int) -> Array:
    """Return durations in whole ticks, at least one, shape (patient,)."""
    return np.asarray(np.maximum(np.rint(np.asarray(duration) * TICKS_PER_HOUR), 1.0) + np.zeros(size))


def _release_ticks(kinetics: Kinetics, dose: DoseEvent, people: People) -> set[int]:
    """Return the edges, in ticks, that a dose has besides its own start and end, for the typical occasion."""
    found: set[int] = set()
    for item in kinetics.inputs(dose.drug, dose.pathway, _milligrams(dose, people), lambda _: np.zeros(people.size)):
        first = to_ticks(dose.start_h) + to_ticks(item.delay)
        if item.delay > 0.0:
            found.add(first)
        if np.any(np.asarray(item.duration) > 0.0):
            found |= {first + int(ticks) for ticks in np.unique(_whole_ticks(item.duration, people.size))}
    return found


class _Jumps:
    """What is added to the compartments, tick by tick."""

    def __init__(self, grid: Grid, names: tuple[str, ...], systems: tuple[str, ...], size: int) -> None:
        self.at: dict[int, Array] = {}
        self._grid, self._names, self._systems, self._size = grid, names, systems, size

    def add(self, tick: int, system: str, compartment: str, amount: Array) -> None:
        """Add `amount` (umol; umol/h for a pump) to a compartment at a node."""
        table = self.at.setdefault(tick, np.zeros((len(self._systems), len(self._names), self._size)))
        table[self._systems.index(system), self._names.index(compartment)] += amount

    def release(self, system: str, compartment: str, amount: Array, start: int, ticks: Array) -> None:
        """Let `amount` enter at a constant rate over each person's whole `ticks`.

        Where a person's release ends between two nodes, its rate over that one step is the share of the step that is
        left, so that exactly the whole amount enters.
        """
        pump = pump_of(compartment)
        rate = amount * TICKS_PER_HOUR / ticks
        self.add(start, system, pump, rate)
        nodes, end = self._grid.ticks, start + ticks
        before = np.searchsorted(nodes, end, side="right") - 1
        after = np.minimum(before + 1, len(nodes) - 1)
        left = (end - nodes[before]) / np.maximum(nodes[after] - nodes[before], 1)
        for node in np.unique(before):
            here = before == node
            less = np.where(here, -rate * (1.0 - left), 0.0)
            self.add(int(nodes[node]), system, pump, less)
            if np.any(left[here] > 0.0) and node + 1 < len(nodes):
                # what is still running, so that the pump stands still afterwards to the last bit
                self.add(int(nodes[node + 1]), system, pump, np.where(here, -(rate + less), 0.0))


def _spans(protocol: Regimen) -> list[tuple[int, int, str, float]]:
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
        field = _FIELDS.get(item.drug, item.drug)
        if field in Setting._fields:
            spans.append((item.start_h, item.end_h, field, 1.0))
    return [(to_ticks(start), to_ticks(end), field, level) for start, end, field, level in spans]


def _settings(protocol: Regimen, spans: list[tuple[int, int, str, float]], ticks: NDArray[np.int64]) -> list[Setting]:
    """Return what holds from each of `ticks` on: the same from one start or end of a span to the next."""
    edges = np.unique(np.asarray([0, *(tick for start, end, _, _ in spans for tick in (start, end))]))
    between = [_setting(protocol, spans, int(tick)) for tick in edges]
    return [between[place] for place in np.searchsorted(edges, ticks, side="right") - 1]


def _setting(protocol: Regimen, spans: list[tuple[int, int, str, float]], tick: int) -> Setting:
    """Return what holds from `tick` on; where spans of one kind overlap, the strongest counts."""
    levels = dict.fromkeys(Setting._fields, 0.0)
    levels["blinded"] = float(protocol.masking != "open")
    levels["masked"] = float(protocol.masking == "anaesthesia")
    for start, end, field, level in spans:
        if start <= tick < end:
            levels[field] = max(levels[field], level)
    return Setting(**levels)
