"""Expected scores of people at the visits, solved in bulk: one program for groups of like size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import switches_for
from kapsim.course import Course, build_course, drugs_seen, metabolite_volumes
from kapsim.engine.grid import Resolution, to_ticks
from kapsim.kinetic_sets import DEFAULT
from kapsim.mechanisms.base import Setting
from kapsim.model import Model, unflatten
from kapsim.patient.sampling import People
from kapsim.population.medicines import OWN_DRUG, OWN_EFFECT
from kapsim.scales import scale_scores
from kapsim.solving import integrate
from kapsim.trial.recruits import part_of
from kapsim.trial.regimen import TrialRegimen
from kapsim.validation.arms import RESOLUTION

__all__ = ["Chain", "expected_scores"]

Array = NDArray[np.float64]

#: People are solved in parts of at most `_LARGEST`, each filled up to a multiple of `_BLOCK`: an engine that compiles
#: for a number of people then meets few.
_BLOCK, _LARGEST = 64, 1024


class Chain(NamedTuple):
    """Which form of the model is solved.

    Attributes
    ----------
    variant : str
        Setting of the contested links, or the average over them.
    kinetics : str
        Name of the kinetics, see `kapsim.kinetic_sets`.
    """

    variant: str
    kinetics: str = DEFAULT


def expected_scores(
    plan: TrialRegimen,
    people: People,
    scales: Sequence[str],
    chain: Chain,
    resolution: Resolution = RESOLUTION,
    *,
    threads: int | None = None,
) -> dict[str, Array]:
    """Return expected scores at entry and at the visits.

    Somebody whose rates are too fast for the grid is solved again on that of a run, alone; whose solution breaks down
    there too has scores that are not a number.

    Parameters
    ----------
    plan : TrialRegimen
        What is done to all of them.
    people : People
    scales : sequence of str
    chain : Chain
    resolution : Resolution
        How fine the time grid is.
    threads : int, optional
        Cores to use, by default all.

    Returns
    -------
    dict of str to ndarray, shape (patient, 1 + visit)
        Points, by scale.
    """
    plan, people = _with_own_medicines(plan, people)
    found = _solved(plan, people, chain, resolution, scales, threads)
    broken = np.flatnonzero(~np.all([np.isfinite(values).all(axis=1) for values in found.values()], axis=0))
    if len(broken):
        again = _solved(plan, part_of(people, broken), chain, Resolution(), scales, threads)
        for name, values in found.items():
            values[broken] = again[name]
    still = ~np.all([np.isfinite(values).all(axis=1) for values in found.values()], axis=0)
    for values in found.values():
        values[still] = np.nan
    return found


def _with_own_medicines(plan: TrialRegimen, people: People) -> tuple[TrialRegimen, People]:
    """Return plan and people with the medicine that some of them take on their own, as a run has it."""
    takes = people.covariates.get(OWN_DRUG)
    if takes is None or not takes.any() or any(item.drug == OWN_DRUG for item in plan.co_medications()):
        return plan, people
    values = {**people.values, OWN_EFFECT: people.values[OWN_EFFECT] * takes}
    return dataclasses.replace(plan, own_medicines=(OWN_DRUG,)), dataclasses.replace(people, values=values)


def _solved(
    plan: TrialRegimen,
    people: People,
    chain: Chain,
    resolution: Resolution,
    scales: Sequence[str],
    threads: int | None,
) -> dict[str, Array]:
    """Return the scores of all, solved part by part; behind the last of a part it is repeated until that is full."""
    parts = []
    for first in range(0, people.size, _LARGEST):
        count = min(people.size - first, _LARGEST)
        size = -(-count // _BLOCK) * _BLOCK
        part = part_of(people, first + np.minimum(np.arange(size), count - 1))
        scores = _scores(plan, part, chain, resolution, scales, threads)
        parts.append({name: values[:count] for name, values in scores.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in scales}


def _scores(
    plan: TrialRegimen,
    people: People,
    chain: Chain,
    resolution: Resolution,
    scales: Sequence[str],
    threads: int | None,
) -> dict[str, Array]:
    course = _blinded(build_course(plan, people, resolution, chain.kinetics, at=()), plan)
    switches = switches_for(chain.variant, people)
    states, amounts = integrate(course, people, switches, keep_failures=True, threads=threads)
    hours = course.grid.hours[course.outputs]
    model = Model.build(people.values, switches)
    volumes = {"volumes": metabolite_volumes(course.kinetics, people)}
    drugs = drugs_seen(course.seen)(np.moveaxis(amounts, 0, 2), volumes)
    last = len(course.settings) - 1
    rows = [course.settings[min(int(node), last)] for node in course.outputs]
    setting = Setting(*(np.asarray(column)[:, None] for column in zip(*rows, strict=True)))
    state = unflatten(np.moveaxis(states, 0, 1))
    with np.errstate(all="ignore"):
        # whose solution broke down has nothing that could be computed with
        flow = model.flow(state, model.rest(people.traits), people.traits, drugs, setting)
        anchors = [*(dose.start_h for dose in plan.dose_events()), *plan.rating_times()]
        mood = state.mood
        scores = scale_scores(hours, (mood.depression, mood.anxiety), (flow.madrs, flow.hama), anchors)
    ticks = course.grid.ticks[course.outputs]
    places = [0, *(int(np.argmin(np.abs(ticks - to_ticks(visit)))) for visit in plan.visits)]
    return {name: np.ascontiguousarray(scores[name][places].T) for name in scales}


def _blinded(course: Course, plan: TrialRegimen) -> Course:
    """Return the course with each period masked as it is; what is laid out knows one masking only."""
    if len({period.masking for period in plan.periods}) == 1:
        return course
    settings = []
    for row, hour in zip(course.settings, course.grid.hours[:-1], strict=True):
        masking = plan.masking_at(float(hour))
        settings.append(
            row._replace(blinded=float(masking != "open"), masked=max(row.masked, float(masking == "anaesthesia")))
        )
    return dataclasses.replace(course, settings=settings)
