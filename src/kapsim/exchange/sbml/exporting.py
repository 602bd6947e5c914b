"""A named protocol for one person, ready to be written in a format of equations."""

from __future__ import annotations

from pathlib import Path

from kapsim._version import __version__
from kapsim.averaging import drawn_under
from kapsim.errors import InputError
from kapsim.evidence import evidence_hash, evidence_version
from kapsim.exchange.sbml.chain import chain_system
from kapsim.exchange.sbml.system import System
from kapsim.kinetic_sets import DEFAULT
from kapsim.patient import Patient, load_patient
from kapsim.patient.sampling import MOST_DRAWS, People, sample_people
from kapsim.protocol import Protocol, load_protocol
from kapsim.statements import DISCLAIMER


def one_person(patient: Patient | None, person: int | None, seed: int, variant: str = "standard") -> People:
    """Return the typical person, or number `person` (from 0) of those that a run with `seed` draws.

    Raises
    ------
    InputError
        For a number or a seed that cannot be.
    """
    if person is None:
        return drawn_under(variant, lambda own: sample_people(patient, 1, seed, spread=False, parameters=own))
    if not 0 <= person < MOST_DRAWS:
        raise InputError(f"person: {person} is not between 0 and {MOST_DRAWS - 1}")
    last = person + 1
    return drawn_under(variant, lambda own: sample_people(patient, last, seed, parameters=own)).of(person)


def export_system(
    protocol: Protocol | str | Path,
    patient: Patient | str | Path | None = None,
    *,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    person: int | None = None,
    seed: int = 0,
    drug_only: bool = False,
) -> System:
    """Return a protocol for one person as named equations.

    Parameters
    ----------
    protocol : Protocol, str or Path
        A protocol, the name of one, or a file.
    patient : Patient, str or Path, optional
        What is known of the person.
    variant, kinetics : str
        As in `kapsim.simulate`.
    person : int, optional
        Number of a drawn person, from 0; the typical one if left out.
    seed : int
        Of the drawn person.
    drug_only : bool
        Leave out everything behind the concentrations.

    Raises
    ------
    InputError
        For an unknown name, an unreadable file or an impossible number.
    """
    plan = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    who = patient if patient is None or isinstance(patient, Patient) else load_patient(patient)
    people = one_person(who, person, seed, variant)
    whom = "the typical person" if person is None else f"person {person} of those drawn with seed {seed}"
    if who is not None:
        whom += " of a patient file"
    return chain_system(
        plan,
        people,
        name=f"{plan.name}_{variant}_{kinetics}".replace("-", "_"),
        title=f"{plan.title}; variant {variant}, kinetics {kinetics}",
        variant=variant,
        kinetics=kinetics,
        drug_only=drug_only,
        notes=(
            DISCLAIMER,
            f"Written by kapsim {__version__} with evidence {evidence_version()} ({evidence_hash()}) for {whom}.",
            "Time is in hours. Values of parameters are those of this person; what is given is in the constants that "
            "begin with 'dose', what is done besides in those that begin with 'setting', and the contested links are "
            "the constants that begin with 'switch'.",
        ),
    )
