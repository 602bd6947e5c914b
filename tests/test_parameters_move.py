"""Every parameter of the model does something: moved by a tenth, it moves some output of some run, or says why not.

All parameters are moved at once, each in a person of its own, who differs from the last person in that parameter only.
Runs are made of everything that a parameter may act on; they are no clinic's idea of a course of treatment.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest

from kapsim import course, outcomes, results, scales
from kapsim.engine.grid import Resolution
from kapsim.evidence import load_parameters
from kapsim.mechanisms.pharmacokinetics import Body, Pharmacokinetics, compartments
from kapsim.mechanisms.switches import Switches
from kapsim.model import VARIANTS, Traits
from kapsim.patient import Patient, sampling
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol, parse_protocol
from kapsim.simulation import provenance
from kapsim.solving import integrate

#: Smallest change, relative to the largest value of a variable, that counts as one: far above the noise.
NOTICEABLE = 1e-6
#: Coarse: a tenth of a parameter is far more than the error of these steps, and all persons share it.
COARSE = Resolution(sharp=8, soft=64, growth=8, largest=8192)

#: Every contested link at once.
VARIANT = Switches(
    hnk=1.0,
    opioid_gate=1.0,
    mtor_elimination=0.5,
    fast_tnf=1.0,
    slow_down=1.0,
    il6_up=1.0,
    equal_affinity=0.5,
    whole_brain=0.5,
)

#: What a parameter does is asked where no calibration has made a link small.
PRIORS = load_parameters(chain=False)


def moved_value(identifier: str) -> float:
    """Return the value of a parameter, a tenth larger; smaller where that is out of bounds."""
    record = PRIORS[identifier]
    if record.value == 0.0:
        return 0.1
    laws = [law for law in (record.uncertainty, record.between_subject) if law is not None]
    highs = [law.high for law in laws if law.high is not None]
    highs += [1.0 for law in laws if law.law == "logit_normal"]
    return record.value * (1.1 if record.value * 1.1 < min(highs, default=np.inf) else 0.9)


def registry_with(identifier: str | None) -> dict[str, Any]:
    """Return the registry with one parameter moved."""
    registry = PRIORS
    if identifier is None:
        return registry
    record = registry[identifier]
    return {**registry, identifier: record.model_copy(update={"value": moved_value(identifier)})}


class Same:
    """Deviates for further draws, the same for everybody, so that people differ in their parameters only."""

    def normal(self, purpose: str, count: int) -> np.ndarray:
        return np.ones(count)


def person(patient: Patient, identifier: str | None) -> People:
    """Return the typical person, as the registry with one parameter moved makes them."""
    registry = registry_with(identifier)
    with mock.patch.object(sampling, "load_parameters", return_value=registry):
        return sample_people(patient, 1, 0, spread=False)


def persons(patient: Patient, identifiers: tuple[str | None, ...]) -> People:
    """Return one person for each moved parameter, None for nobody moved."""
    rows = [person(patient, identifier) for identifier in identifiers]

    def joined(parts: list[Any]) -> list[np.ndarray]:
        return [np.concatenate([np.broadcast_to(value, 1) for value in column]) for column in zip(*parts, strict=True)]

    values = {name: np.concatenate([row.values[name] for row in rows]) for name in rows[0].values}
    traits, body = Traits(*joined([row.traits for row in rows])), Body(*joined([row.body for row in rows]))
    return People(values, traits, body, np.arange(len(rows)), Same())  # type: ignore[arg-type]


def protocol(**parts: Any) -> Protocol:
    base = {"schema_version": 1, "name": "everything", "title": "everything", "horizon": "2 wk"}
    return parse_protocol(json.dumps({**base, **parts}))


def dose(drug: str, route: str, amount: str, at: str, **more: str) -> dict[str, Any]:
    return {"drug": drug, "route": route, "amount": amount, "at": [at], **more}


RATINGS = ["24 h", "3 d", "4 d", "1 wk", "11 d", "2 wk"]
RUNS: dict[str, tuple[Protocol, Patient]] = {
    # an old, heavy woman who does not know what she is given, by every route and with every drug of the liver
    "routes": (
        protocol(
            masking="saline",
            doses=[
                dose("ketamine", "iv", "0.5 mg/kg", "0 h", duration="40 min"),
                dose("ketamine", "im", "1 mg/kg", "1 d"),
                dose("ketamine", "sc", "0.5 mg/kg", "2 d"),
                dose("esketamine", "intranasal", "84 mg", "3 d"),
                dose("ketamine", "intranasal", "50 mg", "4 d"),
                dose("ketamine", "sublingual", "200 mg", "5 d"),
                dose("ketamine", "oral", "200 mg", "6 d"),
                dose("ketamine", "oral", "120 mg", "8 d", form="extended_release"),
                dose("esketamine", "inhaled", "50 mg", "9 d"),
                dose("midazolam", "iv", "0.045 mg/kg", "7 d"),
            ],
            therapy=[{"kind": "kap", "duration": "1 h", "at": ["30 h"]}],
            co_medication=[{"drug": drug} for drug in course.CYP_DRUGS],
            ratings=RATINGS,
        ),
        Patient.model_validate(
            {"schema_version": 1, "weight": "85 kg", "age": "75 a", "sex": "female", "episode": "24 mo"}
        ),
    ),
    # an ill, inflamed person treated openly, with therapy, a stressor and everything else that can be taken
    "links": (
        protocol(
            doses=[dose("ketamine", "iv", "0.5 mg/kg", "0 h", duration="40 min")],
            therapy=[{"kind": "kap", "duration": "1 h", "at": ["24 h", "72 h"]}],
            practice={"level": 0.05},
            stressors=[{"at": "2 d", "duration": "24 h", "intensity": 0.5}],
            co_medication=[
                {"drug": drug}
                for drug in ("naltrexone", "rapamycin", "memantine", "ampa_blocker", "benzodiazepine", "usual_care")
            ],
            ratings=RATINGS,
        ),
        Patient.model_validate({"schema_version": 1, "crp": "10 mg/L"}),
    ),
    # one infusion and one visit, five weeks later
    "long": (
        protocol(
            horizon="5 wk",
            doses=[dose("ketamine", "iv", "0.5 mg/kg", "0 h", duration="40 min")],
            ratings=["5 wk"],
        ),
        Patient.model_validate({"schema_version": 1}),
    ),
    # somebody on a ward
    "ward": (
        protocol(co_medication=[{"drug": "inpatient_care"}], ratings=RATINGS),
        Patient.model_validate({"schema_version": 1}),
    ),
    # somebody whom no treatment has failed yet
    "first": (protocol(ratings=RATINGS), Patient.model_validate({"schema_version": 1, "diagnosis": "mdd"})),
    # a healthy volunteer
    "healthy": (
        protocol(doses=[dose("ketamine", "iv", "0.5 mg/kg", "0 h", duration="40 min")], ratings=RATINGS),
        Patient.model_validate({"schema_version": 1, "diagnosis": "healthy"}),
    ),
}


def run(name: str, identifiers: tuple[str | None, ...]) -> Any:
    """Return the labelled results of a run, one person for each moved parameter."""
    what, who = RUNS[name]
    people = persons(who, identifiers)
    laid_out = course.build_course(what, people, COARSE)
    states, amounts = integrate(laid_out, people, VARIANT)
    # `label` looks the switches up by the name of a variant
    with mock.patch.dict(VARIANTS, everything=VARIANT):
        return results.label(what, who, people, laid_out, states, amounts, provenance("everything", 0, people.size))


def changes(dataset: Any, others: Any) -> dict[str, np.ndarray]:
    """Return the largest relative change of each variable by person, against the last person of `others`."""
    found = {}
    for variable in dataset.data_vars:
        values, home = dataset[variable].values, others[variable].values[-1]
        size = max(float(np.abs(home).max()), 1e-12)
        found[variable] = np.abs(values - home).max(axis=1) / size
    return found


@functools.cache
def moves() -> dict[str, list[str]]:
    """Return, for each parameter, what it moves when it is moved in a person: run and variable."""
    identifiers: tuple[str | None, ...] = (*PRIORS, None)
    found: dict[str, list[str]] = {identifier: [] for identifier in PRIORS}
    for name in RUNS:
        dataset = run(name, identifiers)
        for variable, change in changes(dataset, dataset).items():
            for identifier, much in zip(identifiers, change, strict=True):
                if identifier is not None and much > NOTICEABLE:
                    found[identifier].append(f"{name}: {variable}")
    return found


#: Parameters that a run reads for everybody at once, not person by person.
SHARED = ("mind.contact_hours", "mood.recall.", "mood.scale.", "mood.definition.")


@contextlib.contextmanager
def moved_everywhere(identifier: str) -> Iterator[None]:
    """Move a parameter wherever the registry is read while running."""
    registry = registry_with(identifier)
    with contextlib.ExitStack() as stack:
        for module in (course, results, scales, outcomes, sampling):
            stack.enter_context(mock.patch.object(module, "load_parameters", return_value=registry))
        yield


#: Runs for these: a visit long after the dose, so that the recall periods show; and a score near the floor.
SEEN_BY_ALL = ("long", "healthy")


@functools.cache
def unmoved(name: str) -> Any:
    return run(name, (None,))


@functools.cache
def courses() -> Any:
    """Return a run in which the MADRS of 200 persons falls from 35 to anything in a week, then changes to anything."""
    dataset, rng = unmoved("long"), np.random.default_rng(0)
    hours = dataset.time.values
    many = dataset.isel(patient=np.zeros(200, dtype=int)).copy(deep=True)
    low, last = rng.uniform(2.0, 35.0, (2, 200, 1))
    falling, returning = 35.0 + (low - 35.0) * hours / 168.0, low + (last - low) * (hours / 168.0 - 1.0)
    many["madrs"].values[:] = np.where(hours < 168.0, falling, np.minimum(returning, 60.0))
    many.attrs["ratings"] = json.dumps([168.0, 336.0])
    many["baseline_madrs"] = many["baseline_madrs"] * 0.0 + 35.0
    return many


def moves_a_run(identifier: str) -> list[str]:
    """Return what a parameter moves that is read for everybody: variables of a run, endpoints of many courses.

    A single typical person seldom sits on the edge of response or remission, so these are counted in many courses.
    """
    plain = outcomes.endpoints(courses())
    with moved_everywhere(identifier):
        found = [
            f"{name}: {variable}"
            for name in SEEN_BY_ALL
            for variable, change in changes(run(name, (None,)), unmoved(name)).items()
            if change.max() > NOTICEABLE
        ]
        counted = outcomes.endpoints(courses())
    return found + [n for n in plain if not np.array_equal(plain[n].values, counted[n].values, equal_nan=True)]


#: Parameters that decide who is in a sample: the typical person shows nothing of them, being one woman of 46.
DECIDING = (
    "patient.female",
    "patient.age",
    "patient.belief_severity",
    "patient.deficit_limit",
    "patient.spread.untouched",
    *sampling.SPREADS.values(),
)


def moves_a_sample(identifier: str) -> list[str]:
    """Return whether a parameter moves kinetics, rest or a gain of somebody in a sample of people who differ."""

    def drawn() -> dict[str, np.ndarray]:
        people = sample_people(None, 2000, 0)
        kinetics = Pharmacokinetics.build(people.values)
        matrix = course.rate_matrix(kinetics, "s", people, compartments(frozenset()), frozenset())
        spread = {name: people.values[name] for name in sampling.SPREADS}
        return {"clearance": matrix, **spread, **people.traits._asdict()}

    with mock.patch.object(sampling, "load_parameters", return_value=PRIORS):
        plain = drawn()
    registry = registry_with(identifier)
    with mock.patch.object(sampling, "load_parameters", return_value=registry):
        return [f"sample: {name}" for name, values in drawn().items() if (values != plain[name]).any()]


@pytest.mark.parametrize("identifier", PRIORS)
def test_a_moved_parameter_moves_something_or_says_why_not(identifier: str) -> None:
    reason = PRIORS[identifier].inert
    found = list(moves()[identifier])
    if identifier.startswith(SHARED):
        found += moves_a_run(identifier)
    if identifier in DECIDING:
        found += moves_a_sample(identifier)
    if reason is None:
        assert found, f"{identifier} moves nothing: a bug, or to be marked inert with a reason in model.yaml"
    else:
        assert reason.strip()
        assert not found, f"{identifier} is marked inert but moves {found[:5]}"


def test_every_parameter_is_moved_within_its_bounds() -> None:
    for identifier, record in PRIORS.items():
        value = moved_value(identifier)
        assert value != record.value
        for law in (record.uncertainty, record.between_subject):
            if law is not None:
                assert not law.problems(value), identifier


def test_the_unmoved_person_is_the_typical_person() -> None:
    """The comparison is against a person who is as `sample_people` makes them, and persons do not leak into others."""
    alone, together = run("links", (None,)), run("links", ("pk.v1", "mind.learning_rate", None))
    for variable in alone.data_vars:
        np.testing.assert_allclose(
            together[variable].values[-1], alone[variable].values[0], rtol=1e-9, atol=1e-12, err_msg=str(variable)
        )
