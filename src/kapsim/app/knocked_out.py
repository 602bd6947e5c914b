"""Mood with a link of the chain knocked out: the same people and the same course, some switches off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapsim.app.controls import Controls, protocol_of
from kapsim.app.solving import RESOLUTION, cohort
from kapsim.attribution.links import Link
from kapsim.course import build_course, drugs_seen, metabolite_volumes
from kapsim.evidence import load_parameters
from kapsim.mechanisms.base import Setting
from kapsim.model import Model, unflatten, variant_switches
from kapsim.scales import window_mean
from kapsim.solving import integrate

Array = NDArray[np.float64]


def madrs_without(controls: Controls, link: Link, hours: Array) -> Array:
    """Return the expected MADRS of a course with a link knocked out, shape (patient, time), at `hours`.

    The people are those of the page's course, so that the difference is taken within a person.

    Raises
    ------
    SolverError
        Where a solution breaks down.
    """
    protocol, people = protocol_of(controls), cohort(controls)
    switches = link.without(variant_switches(controls.variant))
    course = build_course(protocol, people, RESOLUTION)
    states, amounts = integrate(course, people, switches)
    model = Model.build(people.values, switches)
    drugs = drugs_seen(course.seen)(
        np.moveaxis(amounts, 0, 2), {"volumes": metabolite_volumes(course.kinetics, people)}
    )
    last = len(course.settings) - 1
    rows = [course.settings[min(int(node), last)] for node in course.outputs]
    setting = Setting(*(np.asarray(column)[:, None] for column in zip(*rows, strict=True)))
    state = unflatten(np.moveaxis(states, 0, 1))
    flow = model.flow(state, model.rest(people.traits), people.traits, drugs, setting)
    clock = course.grid.hours[course.outputs]
    momentary = np.broadcast_to(flow.madrs, (len(clock), people.size))
    anchors = [*(dose.start_h for dose in protocol.dose_events()), *protocol.rating_times()]
    recall = load_parameters()["mood.recall.madrs"].value
    rated = window_mean(clock, state.mood.depression, momentary, anchors, recall)
    return np.stack([np.interp(hours, clock, person) for person in rated.T])
