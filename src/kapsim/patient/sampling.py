"""Draw people: parameters with their uncertainty, traits with their spread, each number keyed by seed and purpose.

A deviate depends on (seed, purpose, index) and on nothing else, so a person stays the same in every arm, batch and
order, and a run of 100 is the start of a run of 1,000.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_parameters
from kapsim.evidence.ensemble import load_ensemble
from kapsim.mechanisms.kinetics import Body
from kapsim.model import Traits
from kapsim.patient.schema import Patient

Array = NDArray[np.float64]

#: Parameters that people differ in by a width (of the logarithm) that is itself a parameter: trials speak of it.
SPREADS = {
    "plasticity.bdnf_gain": "patient.spread.response",
    "mood.weight.anhedonia": "patient.spread.synaptic",
    "mood.weight.expectancy": "patient.spread.unspecific",
    "mood.weight.care": "patient.spread.unspecific",
    "mind.tau_recovery": "patient.spread.recovery",
}
#: Nobody responds more than this many times as much, or as little, as the typical person (assumed): scores stand at
#: their end by then, and rates beyond are too fast for any grid.
FURTHEST = 30.0
#: Patients who share one draw of the uncertain parameters.
PATIENTS_PER_DRAW = 10
#: Most people in one run; a larger population is a trial.
MOST_DRAWS = 100_000
_BLOCK = 256
_DECADE = 10.0
#: The diagnosis of those whom treatment has failed, and of whom no file says anything.
RESISTANT = "trd"
#: Beginning of the purposes of what is not known about the parameters, alone and together in the posterior.
_UNKNOWN, _JOINT = "uncertainty:", "uncertainty:joint:"


class Keyed(NamedTuple):
    """Standard deviates keyed by seed, purpose and index; all zero where `spread` is off.

    They are normal and independent, but for the parameters that the trials moved together: those are draws of their
    joint posterior.
    """

    seed: int
    spread: bool

    def normal(self, purpose: str, count: int) -> Array:
        """Return the first `count` deviates of `purpose`, shape (count,)."""
        if not self.spread:
            return np.zeros(count)
        return np.concatenate([self._block(purpose, block) for block in range(-(-count // _BLOCK))])[:count]

    def at(self, purpose: str, places: NDArray[np.int64]) -> Array:
        """Return the deviates of `purpose` at `places`, counted from 0, in any order; shape as `places`."""
        found = np.zeros(len(places))
        if self.spread:
            for block in np.unique(places // _BLOCK):
                here = places // _BLOCK == block
                found[here] = self._block(purpose, int(block))[places[here] % _BLOCK]
        return found

    def _block(self, purpose: str, block: int) -> Array:
        if purpose.startswith(_JOINT):
            # one draw of the posterior decides all of its parameters
            joint = load_ensemble()[purpose.removeprefix(_JOINT)]
            return joint[self._generator(_JOINT, block).integers(len(joint), size=_BLOCK)]
        return self._generator(purpose, block).standard_normal(_BLOCK)

    def _generator(self, purpose: str, block: int) -> np.random.Generator:
        key = zlib.crc32(purpose.encode())
        return np.random.Generator(np.random.Philox(key=[self.seed, key], counter=[0, 0, 0, block]))


class Deviates(Protocol):
    """Where standard normal deviates come from: a purpose and how many → shape (count,)."""

    def normal(self, purpose: str, count: int) -> Array:
        """Return the deviates of a purpose."""
        ...


class _One(NamedTuple):
    """The deviates of one person, number `number` of the `size` whose deviates `everybody` gives."""

    everybody: Deviates
    size: int
    number: int

    def normal(self, purpose: str, count: int) -> Array:
        """Return the person's deviate of a purpose, shape (1,)."""
        assert count == 1, count
        return self.everybody.normal(purpose, self.size)[self.number : self.number + 1]


@dataclass(frozen=True)
class People:
    """A sample of people.

    Parameters
    ----------
    values : dict of str to ndarray, shape (patient,)
        Every model parameter, by registry id.
    traits : Traits
        What makes each person, besides parameters.
    body : Body
        Weight (kg), age (a), female (0 or 1).
    parameter_draw : ndarray of int, shape (patient,)
        Which draw of the uncertain parameters each person has.
    keyed : Deviates
        Source of further deviates for the same people.
    covariates : mapping of str to ndarray, shape (patient,)
        What a population says of them, in the units of `kapsim.population.TRAITS`; empty where none is named.
    """

    values: dict[str, Array]
    traits: Traits
    body: Body
    parameter_draw: NDArray[np.int64]
    keyed: Deviates
    covariates: Mapping[str, Array] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of people."""
        return len(self.parameter_draw)

    def of(self, number: int) -> People:
        """Return one of the people alone; further deviates are theirs, too."""
        part = slice(number, number + 1)
        return People(
            values={name: value[part] for name, value in self.values.items()},
            traits=Traits(*(np.asarray(value)[part] for value in self.traits)),
            body=Body(*(np.asarray(value)[part] for value in self.body)),
            parameter_draw=self.parameter_draw[part],
            keyed=_One(self.keyed, self.size, number),
            covariates={name: value[part] for name, value in self.covariates.items()},
        )


def sample_people(
    patient: Patient | None,
    draws: int,
    seed: int,
    *,
    spread: bool = True,
    per_draw: int = PATIENTS_PER_DRAW,
    parameters: Mapping[str, Parameter] | None = None,
    deviates: Deviates | None = None,
    covariates: Mapping[str, Array] | None = None,
) -> People:
    """Draw `draws` people.

    Parameters
    ----------
    patient : Patient or None
        What is known of them; the rest is drawn from the population.
    draws : int
        How many, at least 1. Every `per_draw` share one draw of the uncertain parameters.
    seed : int
        Root of all randomness, 0 and up.
    spread : bool
        Without it everybody is the typical person: every deviate is zero.
    per_draw : int
        How many people share a draw of the uncertain parameters.
    parameters : mapping of str to Parameter, optional
        Registry to draw from, by default the shipped one. A group of other means, or a model without what one study
        taught, is a registry with some records replaced; a person keeps the same deviates under all of them.
    deviates : Deviates, optional
        Where the deviates come from, by default keyed by `seed`; `spread` does not touch others.
    covariates : mapping of str to ndarray, shape (patient,), optional
        What a population says of each of them, by trait (see `kapsim.population`); what `patient` gives goes before it,
        and everything else stays as it is without.

    Raises
    ------
    InputError
        For a number of draws or a seed that cannot be.
    """
    check_numbers(draws, seed)
    keyed = Keyed(seed, spread) if deviates is None else deviates
    draw_of = np.arange(draws) // per_draw
    values: dict[str, Array] = {}
    joint = load_ensemble()
    for identifier, parameter in (load_parameters() if parameters is None else parameters).items():
        value = np.full(draws, float(parameter.value))
        if parameter.uncertainty is not None:
            together = parameter.prior is not None and identifier in joint
            unknown = keyed.normal(f"{_JOINT if together else _UNKNOWN}{identifier}", int(draw_of[-1]) + 1)[draw_of]
            value = parameter.uncertainty.apply(value, unknown)
        if parameter.between_subject is not None:
            value = parameter.between_subject.apply(value, keyed.normal(f"between:{identifier}", draws))
        values[identifier] = value
    for identifier, width in SPREADS.items():
        factor = np.exp(values[width] * keyed.normal(f"between:{identifier}", draws))
        values[identifier] = values[identifier] * np.clip(factor, 1.0 / FURTHEST, FURTHEST)
    return _with_patient(values, patient, draw_of, keyed, dict(covariates or {}))


def check_numbers(draws: int, seed: int) -> None:
    """Raise InputError for a number of people or a seed that cannot be."""
    if not 1 <= draws <= MOST_DRAWS:
        raise InputError(f"draws: {draws} is not between 1 and {MOST_DRAWS}; 200 is the default")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed: {seed} is not between 0 and 2^63 - 1")


def _with_patient(
    values: dict[str, Array],
    patient: Patient | None,
    draw_of: NDArray[np.int64],
    keyed: Deviates,
    covariates: dict[str, Array],
) -> People:
    """Overwrite what is known of the patient, or of each of them, and turn the drawn numbers into traits."""
    count = len(draw_of)

    def known(identifier: str, value: float | None, trait: str | None = None) -> Array:
        if value is not None:
            values[identifier] = np.full(count, value)
        elif trait in covariates:
            values[identifier] = covariates[trait]
        if trait in covariates:
            covariates[trait] = values[identifier]
        return values[identifier]

    given = patient if patient is not None else Patient(schema_version=1)
    healthy = given.diagnosis == "healthy"
    resistant = (given.diagnosis or RESISTANT) == RESISTANT
    madrs = known("patient.healthy_madrs" if healthy else "patient.madrs", _madrs(given), "madrs")
    hama = known("patient.healthy_hama" if healthy else "patient.hama", _hama(given), "hama")
    sick = np.zeros(count) if healthy else madrs / load_parameters()["patient.madrs"].value
    episode = known("patient.episode", given.episode_months, "episode")
    if not healthy:
        median = load_parameters()["patient.episode"].value
        values["mind.precision"] = values["mind.precision"] * (episode / median) ** values["patient.chronicity"]
    crp = known("patient.crp", given.crp_mg_per_l, "crp")
    if healthy and given.crp_mg_per_l is None and "crp" not in covariates:
        crp = values["inflammation.crp_healthy"]
    factors = given.sensitivities
    if factors is not None:
        for factor, ids in (
            (factors.plasticity, ("plasticity.bdnf_gain",)),
            (factors.therapy, ("patient.alliance",)),
            (
                factors.pressor,
                ("acute.pressor.systolic", "acute.pressor.heart_rate", "acute.pressor.cardiac_output"),
            ),
            (factors.dissociation, ("acute.cadss.maximum",)),
        ):
            for identifier in ids:
                values[identifier] = values[identifier] * (1.0 if factor is None else factor)
    schema = values["mind.schema_healthy"]
    odds = (
        values["patient.belief"]
        / (1.0 - values["patient.belief"])
        * np.exp(values["patient.belief_severity"] * (sick - 1.0))
    )
    belief = schema if healthy else np.maximum(odds / (1.0 + odds), schema)
    female = (_uniform(keyed, count) < values["patient.female"]).astype(float)
    if given.sex is not None:
        female = np.full(count, float(given.sex == "female"))
    elif "female" in covariates:
        female = covariates["female"]
    if "female" in covariates:
        covariates["female"] = female
    age = known("patient.age", given.age_years, "age")
    traits = Traits(
        madrs=np.clip(madrs, *_INSIDE_MADRS),
        hama=np.clip(hama, *_INSIDE_HAMA),
        spines=1.0 - np.minimum(values["patient.spine_deficit"] * sick, values["patient.deficit_limit"]),
        bdnf=1.0 - np.minimum(values["patient.bdnf_deficit"] * sick, values["patient.deficit_limit"]),
        subgenual=np.ones(count) if healthy else values["patient.subgenual"],
        belief=belief,
        crp=crp,
        microglia=np.zeros(count) if healthy else values["patient.microglia"],
        alliance=values["patient.alliance"],
        expectation=known("patient.expectation", given.expectancy),
        untouched=_untouched(values, age, resistant, keyed.normal("between:patient.untouched", count)),
        remitting=np.full(count, float(not (healthy or resistant))),
    )
    body = Body(weight=known("patient.weight", given.weight_kg, "weight"), age=age, female=female)
    return People(values, traits, body, draw_of.astype(np.int64), keyed, covariates)


def known_traits(patient: Patient) -> dict[str, float]:
    """Return what a file gives of the traits that a population has, in their units."""
    found = {
        "female": None if patient.sex is None else float(patient.sex == "female"),
        "age": patient.age_years,
        "weight": patient.weight_kg,
        "madrs": _madrs(patient),
        "hama": _hama(patient),
        "crp": patient.crp_mg_per_l,
        "episode": patient.episode_months,
    }
    return {name: value for name, value in found.items() if value is not None}


#: Scores at the very ends of a scale have no logit.
_INSIDE_MADRS = (0.5, 59.5)
_INSIDE_HAMA = (0.5, 55.5)


def _untouched(values: Mapping[str, Array], age: Array, resistant: bool, own: Array) -> Array:
    """Return the share of each person's severity that no treatment reaches; larger in older and in resistant people."""
    from scipy.special import expit, logit

    older = (age - load_parameters()["patient.age"].value) / _DECADE
    shift = values["patient.spread.untouched"] * own + values["patient.untouched_age"] * older
    if not resistant:
        shift = shift - values["patient.untouched_responsive"]
    return np.asarray(expit(logit(values["patient.untouched"]) + shift))


def _uniform(keyed: Deviates, count: int) -> Array:
    """Return uniform numbers that decide the sex."""
    from scipy.special import ndtr

    return np.asarray(ndtr(keyed.normal("sex", count)))


def _madrs(patient: Patient) -> float | None:
    """Return the baseline on the MADRS, converted from the scale that the file gives."""
    from kapsim.scales import to_madrs

    baseline = patient.baseline
    return None if baseline is None else to_madrs(baseline.scale, baseline.score)


def _hama(patient: Patient) -> float | None:
    """Return the baseline on the HAM-A, converted from the scale that the file gives."""
    anxiety = patient.anxiety
    if anxiety is None:
        return None
    return (
        anxiety.score
        if anxiety.scale == "hama"
        else anxiety.score / load_parameters()["mood.scale.gad7_per_hama"].value
    )
