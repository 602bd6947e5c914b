"""How far a solution stands from what the equations say: a few people solved again on a finer grid.

The error of the method falls with the fourth power of the step, so a grid a few times as fine is as good as exact
beside the one in use. The sentinels are those whom steps serve worst, by how fast and how far they move, and some
spread over everybody. Eight of them are one vector of the compiled engine: the check costs a small part of a run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.averaging import switches_for
from kapsim.course import Course, build_course
from kapsim.engine.grid import Resolution, to_ticks
from kapsim.model import Traits
from kapsim.patient.sampling import Deviates, People
from kapsim.protocol import Protocol
from kapsim.protocol.events import Regimen
from kapsim.ratings.rating_error import SCALES as RATED
from kapsim.results import known_variables, label
from kapsim.solving import integrate

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: How many people are solved again, and how many times as fine.
SENTINELS, FINER = 8, 4
#: How many times as fine the grids are, one after the other, on which somebody is solved who broke down.
FINER_FOR_THE_BROKEN = (4, 32)
#: A variable of a person is compared by its peak, of which this share counts as nothing.
SMALL = 1e-3
#: Ratings look back and are interpolated between the outputs that there are; how far somebody is beyond the edge of the
#: response surface is nearly nothing or nothing at all, and no quantity of the chain.
NOT_COMPARED = frozenset({*RATED, "gad7", "surface_excess"})
#: What makes a person move fast or far: parameters of which the largest (or, with a minus, the smallest) is watched.
WATCHED = ("plasticity.bdnf_gain", "-glutamate.tau", "-plasticity.ampa_threshold", "-plasticity.tau_translation")


@dataclass(frozen=True)
class SolutionError:
    """What a finer grid says of a solution.

    Attributes
    ----------
    largest : float
        Largest |a − b| / (|b| + 0.001 · peak) over sentinels, times and variables.
    variable : str
        Where that is.
    patient : int
        Whose it is.
    points : float
        Largest error of the momentary MADRS, points.
    sentinels : tuple of int
        The people who were solved again.
    finer : int
        How many times as fine.
    """

    largest: float
    variable: str
    patient: int
    points: float
    sentinels: tuple[int, ...]
    finer: int

    def line(self) -> str:
        """Return it as one line for a person."""
        return (
            f"solution: within {self.largest:.0e} ({self.variable}, patient {self.patient}) of that on a grid "
            f"{self.finer} times as fine, in {len(self.sentinels)} people; MADRS within {self.points:.0e} points"
        )

    def to_json(self) -> str:
        """Return it as text, for the attributes of a result."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SolutionError:
        """Return what `to_json` wrote."""
        given = json.loads(text)
        return cls(**{**given, "sentinels": tuple(given["sentinels"])})


class _Some(NamedTuple):
    """The deviates of some of the `size` people whose deviates `everybody` gives."""

    everybody: Deviates
    size: int
    places: NDArray[np.int64]

    def normal(self, purpose: str, count: int) -> Array:
        """Return the people's deviates of a purpose, shape (people,)."""
        assert count == len(self.places), count
        return self.everybody.normal(purpose, self.size)[self.places]


def some_of(people: People, places: Sequence[int]) -> People:
    """Return some of the people, in this order; further deviates are theirs, too."""
    part = np.asarray(places, dtype=np.int64)
    return replace(
        people,
        values={name: value[part] for name, value in people.values.items()},
        traits=Traits(*(np.asarray(value)[part] for value in people.traits)),
        body=type(people.body)(*(np.asarray(value)[part] for value in people.body)),
        parameter_draw=people.parameter_draw[part],
        keyed=_Some(people.keyed, people.size, part),
        covariates={name: value[part] for name, value in people.covariates.items()},
    )


def sentinels(people: People, count: int = SENTINELS) -> tuple[int, ...]:
    """Return whom to watch: those at the ends of `WATCHED`, then people spread over all; ascending, each once."""
    chosen = list[int]()
    for name in WATCHED:
        values = people.values[name.removeprefix("-")]
        chosen.append(int(np.argmin(values) if name.startswith("-") else np.argmax(values)))
    chosen = list(dict.fromkeys(chosen))[:count]
    for place in np.linspace(0, people.size - 1, min(2 * count, people.size)).astype(int).tolist():
        if len(chosen) < count and place not in chosen:
            chosen.append(place)
    return tuple(sorted(chosen))


def mended(
    states: Array,
    amounts: Array,
    course: Course,
    protocol: Regimen,
    people: People,
    variant: str,
    *,
    kinetics: str,
    resolution: Resolution | None = None,
) -> tuple[Array, Array]:
    """Solve those whose solution broke down again on finer grids: their rates are too fast for the steps in use.

    Parameters
    ----------
    states, amounts : ndarray, shape (outputs, ..., patient)
        As `kapsim.solving.integrate` returns them with `keep_failures`.
    course : Course
    protocol : Regimen
    people : People
    variant : str
    kinetics : str
    resolution : Resolution, optional
        Of the course.

    Returns
    -------
    tuple of ndarray
        The same; not finite for those for whom the finest grid is not fine enough.
    """
    hours = course.grid.hours[course.outputs].tolist()
    for factor in FINER_FOR_THE_BROKEN:
        broken = np.flatnonzero(~(np.isfinite(states).all(axis=(0, 1)) & np.isfinite(amounts).all(axis=(0, 1, 2))))
        if not broken.size:
            break
        few, fine = some_of(people, broken.tolist()), (resolution or Resolution()).finer(factor)
        again = build_course(protocol, few, fine, kinetics, at=hours)
        own = integrate(again, few, switches_for(variant, few), keep_failures=True)
        kept = {int(tick): row for row, tick in enumerate(again.grid.ticks[again.outputs])}
        rows = [kept[int(tick)] for tick in course.grid.ticks[course.outputs]]
        states[..., broken], amounts[..., broken] = (values[rows] for values in own)
    return states, amounts


def solution_error(
    dataset: xr.Dataset,
    protocol: Protocol,
    people: People,
    *,
    resolution: Resolution | None = None,
    count: int = SENTINELS,
    finer: int = FINER,
    engine: str | None = None,
) -> SolutionError:
    """Solve a few of the people again on a finer grid, and compare every momentary variable.

    Parameters
    ----------
    dataset : xarray.Dataset
        Results of these people; says the variant and the kinetics.
    protocol : Protocol
    people : People
        All of them.
    resolution : Resolution, optional
        That the results were solved at, by default the usual one.
    count : int
        How many sentinels at most.
    finer : int
        How many times as fine the other grid is, a power of two.
    engine : str, optional
        As in `kapsim.solving.integrate`.

    Raises
    ------
    SolverError
        Where a sentinel's solution breaks down on the finer grid.
    """
    variant, kinetics = str(dataset.attrs["variant"]), str(dataset.attrs["kinetics"])
    chosen = sentinels(people, count)
    few, hours = some_of(people, chosen), dataset["time"].values
    fine = (resolution or Resolution()).finer(finer)
    course = build_course(protocol, few, fine, kinetics, at=hours.tolist())
    states, amounts = integrate(course, few, switches_for(variant, few), engine=engine)
    about = {name: str(value) for name, value in dataset.attrs.items() if name in ("variant", "kinetics")}
    exact = label(protocol, None, few, course, states, amounts, about)
    kept = {int(tick): row for row, tick in enumerate(course.grid.ticks[course.outputs])}
    rows = [kept[to_ticks(float(hour))] for hour in hours]
    found = {}
    for name in known_variables():
        if name in NOT_COMPARED:
            continue
        mine, other = dataset[name].values[list(chosen)], exact[name].values[:, rows]
        found[name] = np.abs(mine - other), _scale(other)
    shares = {name: float((error / scale).max()) for name, (error, scale) in found.items()}
    worst = max(shares, key=shares.__getitem__)
    error, scale = found[worst]
    return SolutionError(
        largest=shares[worst],
        variable=worst,
        patient=chosen[int((error / scale).max(axis=1).argmax())],
        points=float(found["madrs_momentary"][0].max()),
        sentinels=chosen,
        finer=finer,
    )


def _scale(values: Array) -> Array:
    """Return what an error counts in, shape (patient, time).

    Somebody in whom a variable moves a thousandth as far as in another is compared by the other's.
    """
    peaks = np.abs(values).max(axis=1, keepdims=True)
    peaks = np.maximum(peaks, SMALL * peaks.max())
    return np.asarray(np.where(peaks > 0.0, np.abs(values) + SMALL * peaks, 1.0))
