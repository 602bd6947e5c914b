"""Virtual groups: the people whom a record describes, as far as it describes them.

A group is a registry in which the records of body and severity hold the group's own means; what a record does not give
keeps the population's values. People keep their deviates, so arms of one study hold the same people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from kapsim.evidence import Law, Parameter
from kapsim.evidence.schema import Group
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.scales import to_madrs

#: Draws of the uncertain parameters, and patients who share each.
DRAWS, PATIENTS = 40, 32
#: Diagnoses without depression, unless the record gives a baseline on a depression scale.
WITHOUT_DEPRESSION = frozenset({"healthy", "remitted", "pain", "surgery", "trauma", "icu", "hepatitis", "at_risk"})
#: Species of which the chain knows nothing.
NOT_HUMAN = frozenset({"rodent", "primate"})

_CONVERTED = ("madrs", "hdrs17", "qids", "phq9")


class GroupKey(NamedTuple):
    """What a virtual group is made from; None where the record is silent."""

    depressed: bool
    age: float | None
    weight: float | None
    female: float | None
    madrs: float | None
    madrs_sd: float | None
    hama: float | None
    hama_sd: float | None


def group_key(group: Group) -> GroupKey:
    """Return what of a record's group the model can take up.

    Parameters
    ----------
    group : Group
        As published.
    """
    baseline = group.baseline
    madrs, madrs_sd = _on_madrs(baseline.scale, baseline.mean, baseline.sd)
    hama, hama_sd = _on_hama(baseline.scale, baseline.mean, baseline.sd)
    return GroupKey(
        depressed=group.diagnosis not in WITHOUT_DEPRESSION or madrs is not None,
        age=group.age_years,
        weight=group.weight_kg,
        female=group.female_fraction,
        madrs=madrs,
        madrs_sd=madrs_sd,
        hama=hama,
        hama_sd=hama_sd,
    )


def _on_madrs(scale: str | None, mean: float | None, sd: float | None) -> tuple[float | None, float | None]:
    if mean is None or scale not in _CONVERTED:
        return None, None
    return to_madrs(scale, mean), None if sd is None else sd * to_madrs(scale, mean) / mean


def _on_hama(scale: str | None, mean: float | None, sd: float | None) -> tuple[float | None, float | None]:
    from kapsim.evidence import load_parameters

    if mean is None or scale not in ("hama", "gad7"):
        return None, None
    factor = 1.0 if scale == "hama" else 1.0 / load_parameters()["mood.scale.gad7_per_hama"].value
    return mean * factor, None if sd is None else sd * factor


def group_registry(group: GroupKey, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return `parameters` with the group's means in place of the population's.

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
        ("patient.age", group.age, None),
        ("patient.weight", group.weight, None),
        ("patient.female", group.female, None),
        (severity, group.madrs, group.madrs_sd),
        (anxiety, group.hama, group.hama_sd),
    ):
        if mean is not None:
            registry[identifier] = _centred(registry[identifier], mean, sd)
    return registry


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


def virtual_group(group: GroupKey, parameters: Mapping[str, Parameter], seed: int) -> People:
    """Draw the group: `DRAWS` draws of the uncertain parameters, `PATIENTS` people each.

    Parameters
    ----------
    group : GroupKey
    parameters : mapping of str to Parameter
        Registry to draw from.
    seed : int
        Root of all randomness.
    """
    patient = Patient(schema_version=1, diagnosis="trd" if group.depressed else "healthy")
    registry = group_registry(group, parameters)
    return sample_people(patient, DRAWS * PATIENTS, seed, per_draw=PATIENTS, parameters=registry)
