"""Who comes into a trial: true and rated severity, and people drawn for blocks of replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import AVERAGE, Registry, drawn_under, variants_at
from kapsim.evidence import Parameter, load_parameters
from kapsim.evidence.schema import Baseline as RecordedBaseline
from kapsim.evidence.schema import Group
from kapsim.mechanisms.kinetics import Body
from kapsim.model import Traits
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.population.population import Population
from kapsim.ratings.enrolment import Enrolment, entered
from kapsim.recruiting import truly
from kapsim.trial.design import Trial
from kapsim.trial.draws import Parameters, TrialDeviates, replicate_seed
from kapsim.validation.groups import enrolment, group_key, group_registry

__all__ = ["Intake", "draw", "intake", "part_of", "unable_to_tell"]

#: What lets a person feel that a drug was given; far beyond every concentration, nothing is felt. Nothing but
#: expectancy and the acute read-outs hangs on these.
_FELT = ("acute.dissociation.c50", "acute.midazolam.c50")
_UNFELT = 1e9


@dataclass(frozen=True)
class Intake:
    """Who is recruited.

    Parameters
    ----------
    registry : mapping of str to Parameter
        With true severity in the place of rated.
    enrolment : Enrolment or None
        How ratings at entry stand to true severity; None where no rating decided.
    population : Population, optional
        Whose people they are, with true severity in the place of rated.
    """

    registry: Mapping[str, Parameter]
    enrolment: Enrolment | None
    population: Population | None = None

    @property
    def diagnosis(self) -> str:
        """Diagnosis of everybody."""
        return "trd" if self.population is None else self.population.diagnosis


def intake(trial: Trial) -> Intake:
    """Return who is recruited into a trial."""
    parameters, own = load_parameters(), trial.design.recruits
    if trial.population is not None:
        whose = trial.population
        if "madrs" not in whose.traits:
            registry, found = entered(parameters)
            return Intake(registry, found, whose)
        true, entry = truly(whose, parameters)
        return Intake(parameters, entry, true)
    if own is None:
        registry, found = entered(parameters)
        return Intake(registry, found)
    given = own.baseline
    baseline = RecordedBaseline(
        scale=None if given is None else given.scale,
        mean=None if given is None else given.mean,
        sd=None if given is None else given.sd,
    )
    group = Group(
        diagnosis="trd",
        age_years=None if own.age is None else own.age.to("a"),
        weight_kg=None if own.weight is None else own.weight.to("kg"),
        female_fraction=own.female,
        baseline=baseline,
    )
    key = group_key(group, chosen=own.chosen)._replace(
        age_sd=None if own.age_sd is None else own.age_sd.to("a"),
        scale="madrs" if given is None else given.scale,
    )
    return Intake(group_registry(key, parameters), enrolment(key, parameters))


def draw(
    who: Intake,
    seed: int,
    replicates: NDArray[np.int64],
    patients: int,
    parameters: Parameters,
    variant: str = "standard",
) -> People:
    """Draw the people of some replicates, those of a replicate side by side.

    Parameters
    ----------
    who : Intake
    seed : int
        Root of all randomness.
    replicates : ndarray of int, shape (replicate,)
        Their numbers.
    patients : int
        People in each.
    parameters : str
        'ensemble' or 'fixed', see `TrialDeviates`.
    variant : str
        By whose fit they are drawn; under the average each replicate has a variant of its own.
    """
    if variant == AVERAGE:
        # replicates of a variant together: drawn under every variant, all but one of each person would be thrown away
        names = np.asarray(variants_at(replicates))
        return _together(
            [draw(who, seed, replicates[names == name], patients, parameters, name) for name in dict.fromkeys(names)],
            replicates,
        )
    deviates = TrialDeviates(
        seed, np.repeat(replicates, patients), np.tile(np.arange(patients), len(replicates)), parameters
    )
    patient = Patient.model_validate({"schema_version": 1, "diagnosis": who.diagnosis})
    size = patients * len(replicates)
    known = None if who.population is None else _covariates(who.population, seed, replicates, patients, parameters)

    def drawn(own: Registry | None) -> People:
        people = sample_people(patient, size, 0, per_draw=patients, parameters=own, deviates=deviates, covariates=known)
        # by its own number, not by its place in a block: whatever others there are, a replicate is the same
        return replace(people, parameter_draw=deviates.replicate)

    return drawn_under(variant, drawn, who.registry)


def _covariates(
    whose: Population, seed: int, replicates: NDArray[np.int64], patients: int, parameters: Parameters
) -> dict[str, NDArray[np.float64]]:
    """Return the traits of the people of each replicate, who are others in each."""
    shared = patients if parameters == "ensemble" else None
    drawn = [whose.draw(patients, replicate_seed(seed, int(number)), per_draw=shared) for number in replicates]
    return {trait: np.concatenate([columns[trait] for columns in drawn]) for trait in whose.traits}


def _together(parts: Sequence[People], replicates: NDArray[np.int64]) -> People:
    """Return the people of all parts, in the order of their replicates."""

    def alike(named: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        return {name: np.concatenate([np.asarray(one[name]) for one in named]) for name in named[0]}

    keys = [part.keyed for part in parts if isinstance(part.keyed, TrialDeviates)]
    whole = People(
        values=alike([part.values for part in parts]),
        traits=Traits(**alike([part.traits._asdict() for part in parts])),
        body=Body(**alike([part.body._asdict() for part in parts])),
        parameter_draw=np.concatenate([part.parameter_draw for part in parts]),
        keyed=replace(
            keys[0],
            replicate=np.concatenate([key.replicate for key in keys]),
            person=np.concatenate([key.person for key in keys]),
        ),
        covariates=alike([part.covariates for part in parts]),
    )
    place = {int(number): k for k, number in enumerate(replicates)}
    order = np.argsort([place[int(number)] for number in whole.parameter_draw], kind="stable")
    return part_of(whole, order.astype(np.int64))


def part_of(people: People, part: NDArray[np.int64]) -> People:
    """Return some of the people, by their places; further deviates are theirs, too."""
    keyed = people.keyed
    assert isinstance(keyed, TrialDeviates)
    return People(
        values={name: value[part] for name, value in people.values.items()},
        traits=Traits(*(np.asarray(value)[part] for value in people.traits)),
        body=Body(*(np.asarray(value)[part] for value in people.body)),
        parameter_draw=people.parameter_draw[part],
        keyed=keyed.of(part),
        covariates={name: value[part] for name, value in people.covariates.items()},
    )


def unable_to_tell(people: People) -> People:
    """Return the same people, who feel nothing of what is given and so cannot tell it from the control."""
    values = dict(people.values)
    for identifier in _FELT:
        values[identifier] = values[identifier] * _UNFELT
    return replace(people, values=values)
