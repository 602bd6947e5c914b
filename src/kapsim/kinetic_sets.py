"""The kinetics to choose from, by name, and how each is made for a sample of people."""

from __future__ import annotations

import functools
from dataclasses import is_dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import DATA, Law, load_evidence
from kapsim.extensions import extensions, own_drugs, own_kinetics
from kapsim.mechanisms.base import missing_methods
from kapsim.mechanisms.kinetics import Kinetics
from kapsim.mechanisms.pharmacokinetics import CYP_DRUGS, S_SHARE, Pharmacokinetics
from kapsim.mechanisms.published.base import Published, Spread
from kapsim.mechanisms.published.kamp2020 import Kamp2020
from kapsim.mechanisms.published.otto2021 import Otto2021
from kapsim.mechanisms.published.perezruixo2021 import PerezRuixo2021
from kapsim.mechanisms.published.simons2022 import Simons2022
from kapsim.patient.sampling import People
from kapsim.protocol.events import Regimen
from kapsim.units import convert, nearest

if TYPE_CHECKING:
    from kapsim.evidence import EvidenceParameter

Array = NDArray[np.float64]

#: What runs where no other set is named.
DEFAULT = Pharmacokinetics.name
SETS: dict[str, type[Kinetics]] = {
    kind.name: kind for kind in (Pharmacokinetics, Kamp2020, Otto2021, PerezRuixo2021, Simons2022)
}


@functools.cache
def named_sets() -> dict[str, type[Kinetics]]:
    """Return every set by name: those of `SETS`, then those of extensions.

    Raises
    ------
    InputError
        For one of an extension that is no set of kinetics, or bears a name that is taken.
    """
    found = dict(SETS)
    for kind in own_kinetics():
        if not issubclass(kind, Kinetics) or not is_dataclass(kind):
            raise InputError(
                f"extension: KINETICS: {kind.__name__} is no set of kinetics; derive it from one and decorate it with "
                "@dataclass(frozen=True)"
            )
        missing = [name for name in ("name", "structure", "drugs", "routes") if not hasattr(kind, name)]
        missing += missing_methods(kind)
        if missing:
            raise InputError(f"extension: KINETICS: {kind.__name__} lacks {', '.join(missing)}")
        if kind.name in found:
            raise InputError(
                f"extension: KINETICS: there is a set {kind.name!r} already; name {kind.__name__} otherwise"
            )
        for drug, share in kind.own_drugs.items():
            if drug in S_SHARE or not 0.0 <= share <= 1.0:
                raise InputError(
                    f"extension: KINETICS: {kind.__name__}: own_drugs: {drug!r}: {share!r}; a new name is needed, with "
                    "its share of S-ketamine, 0 to 1"
                )
        found[kind.name] = kind
    return found


def s_shares() -> dict[str, float]:
    """Return the share of S-ketamine of every drug that holds ketamine, those of extensions among them."""
    return {**S_SHARE, **own_drugs()}


def kinetic_set(name: str) -> type[Kinetics]:
    """Return a set by name.

    Raises
    ------
    InputError
        For an unknown name, naming the nearest.
    """
    known = named_sets()
    if name not in known:
        close = nearest(name, known)
        advice = f"did you mean {close!r}? " if close else ""
        raise InputError(f"no kinetics {name!r}; {advice}known: {', '.join(known)}")
    return known[name]


def check_protocol(name: str, protocol: Regimen) -> None:
    """Raise InputError where the set `name` does not know what a protocol gives."""
    kind = kinetic_set(name)
    kind.check_taken(frozenset(item.drug for item in protocol.co_medications() if item.drug in CYP_DRUGS))
    for dose in protocol.dose_events():
        if dose.drug in s_shares():
            kind.check_dose(dose.drug, dose.pathway)


def build_kinetics(name: str, people: People) -> Kinetics:
    """Return the set `name` with the parameters of `people`.

    A published set has its own values and its own differences between people, drawn for the same people as everything
    else; of what is not known about its values it says nothing.
    """
    kind = kinetic_set(name)
    if not issubclass(kind, Published):
        return kind.build(people.values)
    own = {item.name: _values(kind, item.name, people) for item in kind.read()}
    return kind.build({**people.values, **own})


def record_names(kind: type[Kinetics]) -> dict[str, tuple[str, str]]:
    """Return name and unit of every field of a published set that an evidence record gives; none for the default."""
    if not issubclass(kind, Published):
        return {}
    return {item.name: (_record(item.metadata["record"]).quantity, item.metadata["unit"]) for item in kind.read()}


@functools.cache
def _records() -> dict[str, EvidenceParameter]:
    """The evidence on pharmacokinetics, which is a part of all evidence and quicker to read."""
    own = [item.evidence for item in extensions() if item.evidence is not None]
    return load_evidence([DATA / "parameters-pharmacokinetics.yaml", *own])


def _record(identity: str) -> EvidenceParameter:
    if identity not in _records():
        close = nearest(identity, _records())
        raise InputError(f"kinetics: no evidence record {identity!r}" + (f"; nearest {close!r}" if close else ""))
    return _records()[identity]


def _number(record: str, unit: str) -> float:
    """Return the value of a record in `unit`."""
    found = _record(record)
    if found.value is None:
        raise InputError(f"kinetics: record {record!r} has no value")
    return convert(found.value, found.unit, unit)


def _values(kind: type[Published], field: str, people: People) -> Array:
    """Return a field of a published set for each of the people."""
    metadata = kind.__dataclass_fields__[field].metadata
    centre = np.full(people.size, _number(metadata["record"], metadata["unit"]))
    spread: Spread | None = metadata["spread"]
    if spread is None:
        return centre
    deviate, size = _deviate(kind, field, people), _size(spread)
    return Law(law="logit_normal" if spread.kind == "logit" else "lognormal", sd=size).apply(centre, deviate)


def _size(spread: Spread) -> float:
    """Return the standard deviation on the scale of the law."""
    value = _number(spread.record, "1")
    if spread.kind == "variance":
        return float(np.sqrt(value))
    return float(np.sqrt(np.log1p(value**2))) if spread.kind == "cv" else value


def _deviate(kind: type[Published], field: str, people: People) -> Array:
    """Return each person's standard normal deviate of a field, correlated with another's where the set says so."""
    metadata = kind.__dataclass_fields__[field].metadata
    own = people.keyed.normal(f"between:{metadata['record']}", people.size)
    shared = metadata["spread"].shared
    if shared is None:
        return own
    size = _size(metadata["spread"]) * float(np.sqrt(_number(shared.variance, "1")))
    correlation = _number(shared.covariance, "1") / size
    return correlation * _deviate(kind, shared.field, people) + float(np.sqrt(1.0 - correlation**2)) * own


def rate_matrix(
    kinetics: Kinetics, system: str, people: People, names: tuple[str, ...], taken: frozenset[str]
) -> Array:
    """Return the rate matrices of one system, shape (patient, n, n), 1/h."""
    matrix = np.zeros((people.size, len(names), len(names)))
    if system == "midazolam":
        matrix[:, names.index("central"), names.index("pump")] = 1.0
        matrix[:, names.index("central"), names.index("central")] = -np.log(2.0) / kinetics.midazolam_half_life
        return matrix
    for flow in kinetics.flows(system, people.body, taken):
        if flow.source not in names:
            continue
        source = names.index(flow.source)
        if not flow.copies:
            matrix[:, source, source] -= flow.rate
        if flow.target is not None:
            matrix[:, names.index(flow.target), source] += flow.rate
    return matrix
