"""The kinetics to choose from, by name, and how each is made for a sample of people."""

from __future__ import annotations

from kapsim.errors import InputError
from kapsim.mechanisms.kinetics import Kinetics
from kapsim.mechanisms.pharmacokinetics import Pharmacokinetics
from kapsim.patient.sampling import People
from kapsim.units import nearest

#: What runs where no other set is named.
DEFAULT = Pharmacokinetics.name
SETS: dict[str, type[Kinetics]] = {kind.name: kind for kind in (Pharmacokinetics,)}


def kinetic_set(name: str) -> type[Kinetics]:
    """Return a set by name.

    Raises
    ------
    InputError
        For an unknown name, naming the nearest.
    """
    if name not in SETS:
        close = nearest(name, SETS)
        advice = f"did you mean {close!r}? " if close else ""
        raise InputError(f"no kinetics {name!r}; {advice}known: {', '.join(SETS)}")
    return SETS[name]


def build_kinetics(name: str, people: People) -> Kinetics:
    """Return the set `name` with the parameters of `people`."""
    return kinetic_set(name).build(people.values)
