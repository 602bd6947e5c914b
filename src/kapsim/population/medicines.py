"""Medicines that some of the people take and others do not, within one course for all of them.

A protocol says what everybody takes. Where only some take a benzodiazepine, the course says that it is taken, and those
who do not take it have none of its effect. Every other medicine of a population is on record only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kapsim.patient.sampling import People
from kapsim.protocol import CoMedication, Protocol

__all__ = ["OWN_DRUG", "OWN_EFFECT", "with_own_medicines"]

#: The medicine that some take and others do not, and the parameter of its effect.
OWN_DRUG: Final = "benzodiazepine"
OWN_EFFECT: Final = "network.benzodiazepine"


def with_own_medicines(protocol: Protocol, people: People) -> tuple[Protocol, People]:
    """Return the protocol and the people with what each of them takes on their own.

    Parameters
    ----------
    protocol : Protocol
        Where it names a benzodiazepine itself, it speaks for everybody, and what people took before counts no more.
    people : People

    Returns
    -------
    tuple of Protocol and People
        Those given where nobody takes anything.
    """
    takes = people.covariates.get(OWN_DRUG)
    if takes is None or not takes.any() or any(item.drug == OWN_DRUG for item in protocol.co_medications()):
        return protocol, people
    taken = protocol.model_copy(update={"co_medication": (*protocol.co_medication, CoMedication(drug=OWN_DRUG))})
    return taken, replace(people, values={**people.values, OWN_EFFECT: people.values[OWN_EFFECT] * takes})
