"""The people of a run: what a patient file says of them, whose population they are, and how they came in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from kapsim.averaging import drawn_under
from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_parameters
from kapsim.file_model import Quantity
from kapsim.patient import Patient
from kapsim.patient.sampling import PATIENTS_PER_DRAW, People, check_numbers, known_traits, sample_people
from kapsim.population.population import Population
from kapsim.ratings.enrolment import Enrolment, enrolled, entered
from kapsim.ratings.rating_error import rating_error

__all__ = ["as_met", "draw_people", "truly"]


def draw_people(
    patient: Patient | None,
    draws: int,
    seed: int,
    *,
    population: Population | None = None,
    variant: str = "standard",
    spread: bool = True,
    rating_error: bool = False,
) -> tuple[People, Enrolment | None]:
    """Draw the people of a run, and say how they came in.

    Parameters
    ----------
    patient : Patient or None
        What is known of all of them; it goes before what the population says.
    draws, seed, spread
        As in `simulate`.
    population : Population, optional
        Whose people they are.
    variant : str
        By whose fit they are drawn.
    rating_error : bool
        Whether those who came into a study by a rating shall have the severity behind it.

    Returns
    -------
    tuple of People and Enrolment
        None for people who were not chosen by a rating.
    """
    if population is None:
        registry, entry = _entry(patient) if rating_error else (None, None)
        return drawn_under(
            variant, lambda own: sample_people(patient, draws, seed, spread=spread, parameters=own), registry
        ), entry
    who = Patient(schema_version=1) if patient is None else patient
    if who.diagnosis is not None and (who.diagnosis == "healthy") != (population.diagnosis == "healthy"):
        raise InputError(
            f"diagnosis: the patient is {who.diagnosis} and the population {population.name} {population.diagnosis}; "
            "leave one of them out"
        )
    who = who.model_copy(update={"diagnosis": who.diagnosis or population.diagnosis})
    registry, entry = None, None
    if rating_error and "madrs" not in population.traits:
        registry, entry = _entry(who)
    elif rating_error and who.baseline is None and who.diagnosis != "healthy":
        population, entry = truly(population, load_parameters())
    check_numbers(draws, seed)
    if spread:
        known = population.draw(draws, seed, per_draw=PATIENTS_PER_DRAW, given=known_traits(who))
    else:
        known = population.middle(draws, given=known_traits(who))
    return drawn_under(
        variant,
        lambda own: sample_people(who, draws, seed, spread=spread, parameters=own, covariates=known),
        registry,
    ), entry


def truly(population: Population, parameters: Mapping[str, Parameter]) -> tuple[Population, Enrolment | None]:
    """Return a population with true severity in place of rated, where its people came in by a rating.

    Parameters
    ----------
    population : Population
    parameters : mapping of str to Parameter
        Registry: how large the error of a rating is, and how far below the mean a trial's cut lies.

    Returns
    -------
    tuple of Population and Enrolment
        This very population and None where nobody was chosen by a rating, or where each row is a real person.
    """
    severity = population.file.marginals.get("madrs")
    by_rating = population.file.enrolled_by_rating and population.table is None
    if not by_rating or severity is None or severity.law != "normal":
        return population, None
    distance, marginals, found = parameters["observation.enrolment.distance"].value, dict(population.file.marginals), {}
    for scale in ("madrs", "hama"):
        if scale in marginals and marginals[scale].law == "normal":
            law, error = population.laws[scale], rating_error(scale, parameters).sd
            # a scale that did not decide was rated with an error too, which widens its spread and moves nothing
            found[scale] = enrolled(scale, law.mean, law.sd, error, distance if scale == "madrs" else math.inf)
            mean, sd = (Quantity(value, "points") for value in (found[scale].true_mean, found[scale].true_sd))
            true = {"mean": mean, "sd": sd, "low": None, "high": None}
            marginals[scale] = marginals[scale].model_copy(update=true)
    return replace(population, file=population.file.model_copy(update={"marginals": marginals})), found["madrs"]


def _entry(patient: Patient | None) -> tuple[dict[str, Parameter] | None, Enrolment | None]:
    """Return the population as a trial takes it in by a rating, and how; None for people whose severity is given."""
    if patient is not None and (patient.baseline is not None or patient.diagnosis == "healthy"):
        return None, None
    return entered(load_parameters())


def as_met(patient: Patient | None, population: Population) -> Patient:
    """Return whom a study would say it treated: the typical person of a population, but for what a file gives."""
    given = {} if patient is None else {name: getattr(patient, name) for name in ("weight", "age", "diagnosis")}
    return population.typical.model_copy(update={name: value for name, value in given.items() if value is not None})
