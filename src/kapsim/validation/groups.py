"""Virtual groups: the people whom a record describes, as far as it describes them.

A group is a registry in which the records of body and severity hold the group's own means; what a record does not give
keeps the population's values. People keep their deviates, so arms of one study hold the same people. A record prints
severity as it was rated; the people have the true severity behind it, which is lower where a rating decided who came in
(`kapsim.ratings.enrolment`).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kapsim.evidence import Law, Parameter
from kapsim.evidence.schema import Group
from kapsim.patient import Patient
from kapsim.patient.sampling import RESISTANT, People, sample_people
from kapsim.ratings.enrolment import Enrolment, enrolled, true_severity
from kapsim.ratings.rating_error import rating_error
from kapsim.scales import CONVERTED, from_madrs, gad7_from_hama, to_madrs

#: Draws of the uncertain parameters, and patients who share each.
DRAWS, PATIENTS = 40, 32
#: Diagnoses without depression, unless the record gives a baseline on a depression scale.
WITHOUT_DEPRESSION = frozenset({"healthy", "remitted", "pain", "surgery", "trauma", "icu", "hepatitis", "at_risk"})
#: Words of designs in which no rating decided who came in.
_WHOEVER_COMES = re.compile(r"\b(clinic|cohort|chart|case series|retrospective|observational|single arm)\b")
#: Species of which the chain knows nothing.
NOT_HUMAN = frozenset({"rodent", "primate"})

_CONVERTED = ("madrs", *CONVERTED)
_ANXIETY = ("hama", "gad7")
#: Scales on which the chain has a severity of its own.
_OWN = ("madrs", "hama")


class GroupKey(NamedTuple):
    """What a virtual group is made from; None where the record is silent.

    Severity is as rated: on the MADRS or HAM-A, converted from `scale`. `chosen` says whether a rating decided who came
    in, as in a trial; clinics take whoever comes. Without `age_sd` ages spread as usual. `resistant` says whether
    treatment had failed them.
    """

    depressed: bool
    age: float | None
    weight: float | None
    female: float | None
    madrs: float | None
    madrs_sd: float | None
    hama: float | None
    hama_sd: float | None
    scale: str | None = None
    chosen: bool = True
    age_sd: float | None = None
    resistant: bool = True

    @property
    def diagnosis(self) -> str:
        """What of the diagnosis makes a difference to the chain."""
        return "healthy" if not self.depressed else RESISTANT if self.resistant else "mdd"


def group_key(group: Group, *, chosen: bool = True) -> GroupKey:
    """Return what of a record's group the model can take up.

    Parameters
    ----------
    group : Group
        As published.
    chosen : bool
        Whether a rating decided who came in.
    """
    baseline = group.baseline
    madrs, madrs_sd = _on_madrs(baseline.scale, baseline.mean, baseline.sd)
    hama, hama_sd = _on_hama(baseline.scale, baseline.mean, baseline.sd)
    depressed = group.diagnosis not in WITHOUT_DEPRESSION or madrs is not None
    if group.diagnosis == "at_risk" and madrs is None and hama is None:
        madrs, hama = (_assumed(f"patient.at_risk_{own}") for own in _OWN)
    return GroupKey(
        depressed=depressed,
        age=group.age_years,
        weight=group.weight_kg,
        female=group.female_fraction,
        madrs=madrs,
        madrs_sd=madrs_sd,
        hama=hama,
        hama_sd=hama_sd,
        age_sd=group.age_sd,
        scale=baseline.scale if baseline.mean is not None and (madrs is not None or hama is not None) else None,
        chosen=chosen,
        resistant=group.diagnosis == RESISTANT,
    )


def chosen_by_score(design: str) -> bool:
    """Return whether a rating decided who came into a study of this design; clinics take whoever comes.

    Parameters
    ----------
    design : str
        As the record words it.
    """
    return _WHOEVER_COMES.search(design.lower()) is None


def _on_madrs(scale: str | None, mean: float | None, sd: float | None) -> tuple[float | None, float | None]:
    if mean is None or scale not in _CONVERTED:
        return None, None
    return to_madrs(scale, mean), None if sd is None else sd * to_madrs(scale, mean) / mean


def _assumed(identifier: str) -> float:
    from kapsim.evidence import load_parameters

    return load_parameters()[identifier].value


def _on_hama(scale: str | None, mean: float | None, sd: float | None) -> tuple[float | None, float | None]:
    from kapsim.evidence import load_parameters

    if mean is None or scale not in ("hama", "gad7"):
        return None, None
    factor = 1.0 if scale == "hama" else 1.0 / load_parameters()["mood.scale.gad7_per_hama"].value
    return mean * factor, None if sd is None else sd * factor


def group_registry(group: GroupKey, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return `parameters` with the group's means in place of the population's, and true severity in place of rated.

    Parameters
    ----------
    group : GroupKey
    parameters : mapping of str to Parameter
        Registry to start from.
    """
    severity = "patient.madrs" if group.depressed else "patient.healthy_madrs"
    anxiety = "patient.hama" if group.depressed else "patient.healthy_hama"
    registry = dict(parameters)
    for identifier, mean, sd in (
        ("patient.age", group.age, group.age_sd),
        ("patient.weight", group.weight, None),
        ("patient.female", group.female, None),
        (severity, group.madrs, group.madrs_sd),
        (anxiety, group.hama, group.hama_sd),
    ):
        if mean is not None:
            registry[identifier] = _centred(registry[identifier], mean, sd)
    for own in _OWN:
        if (entry := _entry(group, registry, own)) is not None:
            factor = registry[f"patient.{own}"].value / entry.mean
            on_own = entry._replace(true_mean=entry.true_mean * factor, true_sd=entry.true_sd * factor)
            registry[f"patient.{own}"] = true_severity(registry[f"patient.{own}"], on_own)
    return registry


def enrolment(group: GroupKey, parameters: Mapping[str, Parameter]) -> Enrolment | None:
    """Return how a group came in, in points of the scale that decided; None where no rating decided.

    Parameters
    ----------
    group : GroupKey
    parameters : mapping of str to Parameter
        Registry to start from, with rated severity.
    """
    own = _decisive(group)
    if not (group.chosen and group.depressed):
        return None
    mean, sd = (group.hama, group.hama_sd) if own == "hama" else (group.madrs, group.madrs_sd)
    rated = parameters[f"patient.{own}"]
    return _entry(group, {**parameters, f"patient.{own}": rated if mean is None else _centred(rated, mean, sd)}, own)


def _decisive(group: GroupKey) -> str:
    """Return which severity the group's baseline speaks of."""
    return "hama" if group.scale in _ANXIETY else "madrs"


def _entry(group: GroupKey, registry: Mapping[str, Parameter], own: str) -> Enrolment | None:
    """Return true beside rated severity, from a registry that holds the group's ratings; None for the healthy."""
    rated = registry[f"patient.{own}"]
    law = rated.between_subject
    if not group.depressed or law is None or law.law != "normal":
        return None
    decisive = own == _decisive(group)
    scale = group.scale if decisive and group.scale is not None else own
    factor = _points(scale, rated.value) / rated.value
    distance = registry["observation.enrolment.distance"].value if decisive and group.chosen else math.inf
    return enrolled(scale, rated.value * factor, law.sd * factor, rating_error(scale, registry).sd, distance)


def _points(scale: str, severity: float) -> float:
    """Return the points of `scale` at a severity on the MADRS, or on the HAM-A for a scale of anxiety."""
    if scale in _OWN:
        return severity
    convert = gad7_from_hama if scale == "gad7" else functools.partial(from_madrs, scale)
    return float(convert(np.asarray([severity]))[0])


def _centred(parameter: Parameter, mean: float, sd: float | None) -> Parameter:
    """Return a parameter of the group: its mean is known, and its spread keeps its form around it."""
    law, centre = parameter.between_subject, mean
    if law is not None:
        # bounds of the population would shift the mean of a group near them
        law = law.model_copy(update={"sd": _width(law, parameter.value, mean, sd), "low": None, "high": None})
        if law.law == "lognormal":
            centre = mean * math.exp(-0.5 * law.sd**2)
    known = Law(law="normal", sd=0.0)
    return parameter.model_copy(update={"value": centre, "uncertainty": known, "between_subject": law})


def _width(law: Law, population: float, mean: float, sd: float | None) -> float:
    """Return the spread of a group: as published, else that of the population in proportion to the mean."""
    if law.law == "lognormal":
        return law.sd if sd is None else math.sqrt(math.log(1.0 + (sd / mean) ** 2))
    return law.sd * mean / population if sd is None else sd


def virtual_group(
    group: GroupKey, parameters: Mapping[str, Parameter], seed: int, *, patients: int = PATIENTS
) -> People:
    """Draw the group: `DRAWS` draws of the uncertain parameters, `patients` people each.

    Parameters
    ----------
    group : GroupKey
    parameters : mapping of str to Parameter
        Registry to draw from.
    seed : int
        Root of all randomness.
    patients : int
        People of each draw.
    """
    patient = Patient.model_validate({"schema_version": 1, "diagnosis": group.diagnosis})
    registry = group_registry(group, parameters)
    return sample_people(patient, DRAWS * patients, seed, per_draw=patients, parameters=registry)
