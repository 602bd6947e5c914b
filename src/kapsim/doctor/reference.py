"""A small course that is solved here and held against what was solved when this version was made.

`reference.json` holds figures of two people, one from each of two draws of the uncertain parameters: what was drawn for
them, and every variable at a few hours. `scripts/doctor_reference.py` writes it, and only where both engines agree.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kapsim.course import build_course
from kapsim.model import variant_switches
from kapsim.protocol import load_protocol
from kapsim.recruiting import draw_people
from kapsim.results import label
from kapsim.simulation import provenance
from kapsim.solving import integrate

if TYPE_CHECKING:
    import xarray as xr

GOLDEN = Path(__file__).parent / "reference.json"

PROTOCOL, DRAWS, SEED = "kap_six_sessions", 12, 0
#: Whose figures are kept.
PEOPLE = (0, 11)
#: h; the nearest outputs of the course are kept: at rest, in and after the first dose, days and weeks later, the end.
HOURS = (0.0, 168.5, 170.0, 192.0, 336.0, 1176.0, 2016.0)

#: Largest |a − b| over the largest |b| of its row. Random numbers are integers turned into normal deviates, so only the
#: last digit of a logarithm may differ. The two engines, whose sums run in another order, differ by 1e-11 after
#: twelve weeks: a hundred times that is no rounding any more.
TOLERANCES = {"people": 1e-12, "results": 1e-9}


@dataclass(frozen=True)
class Reference:
    """Figures of the course, and what they rest on.

    Attributes
    ----------
    kapsim_version, evidence_version, evidence_hash : str
    hours : tuple of float
        Times of the results, h.
    people : dict of str to tuple of float
        Parameters and traits drawn, by id, one number a person.
    results : dict of str to tuple of float
        Variables by name, all hours of the first person, then of the next.
    """

    kapsim_version: str
    evidence_version: str
    evidence_hash: str
    hours: tuple[float, ...]
    people: dict[str, tuple[float, ...]]
    results: dict[str, tuple[float, ...]]

    def to_json(self) -> str:
        """Return the figures as the text of a file, one row a line."""

        def told(value: Any) -> str:
            if isinstance(value, dict):
                rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in value.items())
                return f"{{\n{rows}\n }}"
            return json.dumps(value)

        return "{\n" + ",\n".join(f' "{key}": {told(value)}' for key, value in asdict(self).items()) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """Read what `to_json` wrote."""
        given = json.loads(text)
        for name in ("people", "results"):
            given[name] = {key: tuple(row) for key, row in given[name].items()}
        return cls(**{**given, "hours": tuple(given["hours"])})


class Agreement(NamedTuple):
    """How far one part of the figures is from what it should be."""

    part: str
    figures: int
    largest: float  # relative to its row
    where: str
    tolerance: float
    lacking: tuple[str, ...]  # rows that only one of the two has

    @property
    def holds(self) -> bool:
        """Whether every figure is there and within the tolerance."""
        return not self.lacking and self.largest <= self.tolerance


def golden() -> Reference:
    """Return the figures that were shipped."""
    return Reference.from_json(GOLDEN.read_text(encoding="utf-8"))


def solve(engine: str | None = None, threads: int | None = None) -> Reference:
    """Solve the course here.

    Parameters
    ----------
    engine, threads
        As for `kapsim.solving.integrate`.
    """
    protocol = load_protocol(PROTOCOL)
    people, _ = draw_people(None, DRAWS, SEED)
    course = build_course(protocol, people)
    states, amounts = integrate(course, people, variant_switches("standard"), engine=engine, threads=threads)
    about = provenance("standard", SEED, DRAWS)
    found = label(protocol, None, people, course, states, amounts, about)
    drawn = {**people.values, **{f"trait {name}": row for name, row in people.traits._asdict().items()}}
    return _kept(found, {name: np.broadcast_to(row, (DRAWS,)) for name, row in drawn.items()}, about)


def _kept(found: xr.Dataset, drawn: dict[str, Any], about: dict[str, str]) -> Reference:
    hours = found["time"].values
    rows = [int(np.argmin(np.abs(hours - hour))) for hour in HOURS]
    return Reference(
        about["kapsim_version"],
        about["evidence_version"],
        about["evidence_hash"],
        tuple(hours[rows].tolist()),
        {name: tuple(float(row[person]) for person in PEOPLE) for name, row in drawn.items()},
        {
            str(name): tuple(float(values[person, row]) for person in PEOPLE for row in rows)
            for name, values in ((name, found[name].values) for name in found.data_vars)
        },
    )


def compare(found: Reference, wanted: Reference) -> tuple[Agreement, ...]:
    """Hold figures against what they should be: first what was drawn, then what was solved from it.

    Parameters
    ----------
    found, wanted : Reference

    Returns
    -------
    tuple of Agreement
        One a part, in the order in which one rests on the other.
    """
    return tuple(_compare(part, getattr(found, part), getattr(wanted, part)) for part in TOLERANCES)


def _compare(part: str, found: dict[str, tuple[float, ...]], wanted: dict[str, tuple[float, ...]]) -> Agreement:
    largest, where = 0.0, ""
    for name in (common := [name for name in wanted if name in found]):
        ours, theirs = np.asarray(found[name]), np.asarray(wanted[name])
        size = np.abs(theirs).max()
        gap = np.abs(ours - theirs).max() / (size or 1.0)
        # what is no number differs from any number
        if not gap <= largest:
            largest, where = float(np.nan_to_num(gap, nan=np.inf)), name
    lacking = tuple(sorted(set(found) ^ set(wanted)))
    return Agreement(part, sum(len(wanted[name]) for name in common), largest, where, TOLERANCES[part], lacking)
