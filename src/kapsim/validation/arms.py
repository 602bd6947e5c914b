"""Arms of a study, each simulated once: what is wanted of an arm is collected first, then read off one simulation."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.grid import Resolution
from kapsim.errors import InputError, SolverError
from kapsim.evidence import Parameter
from kapsim.ratings.rated import Ratings
from kapsim.ratings.rating_error import SCALES
from kapsim.validation.groups import DRAWS, PATIENTS, GroupKey, enrolment, virtual_group
from kapsim.validation.regimens import NotSimulableError, Treatment

if TYPE_CHECKING:
    from kapsim.concentrations import Concentrations
    from kapsim.patient.sampling import People
    from kapsim.protocol import Protocol

Array = NDArray[np.float64]

#: Hours after the last dose over which an area to infinity is followed before its tail is added.
_TAIL_H = 48.0
#: Share of the peak below which a concentration no longer counts for the slope of the tail.
_TAIL_SHARE = 1e-6
#: Coarser than a run: what a person's score is off by stays below a twentieth of a point (tested).
RESOLUTION = Resolution(sharp=4, growth=8, block=256)
#: Mood variables, whose rating times are visits: a rating looks back to the visit before it.
RATED = frozenset(SCALES)
#: Hours within which a visit is the one at which people came in.
_SAME_VISIT = 1e-3


class Arm(NamedTuple):
    """One arm: who is treated, how, and in which study (whose visits it shares)."""

    study: str
    group: GroupKey
    treatment: Treatment


class Want(NamedTuple):
    """One thing wanted of an arm, on the record's clock.

    `how`: 'at' the hours named; 'cmax' or 'tmax' (h after the start of the window) between two hours; 'auc' from the
    arm's start to an hour, to infinity where that is infinite; 'half_life' of the end of the curve; 'trait' of a
    person (weight in kg, baseline).
    """

    variable: str
    how: Literal["at", "cmax", "tmax", "auc", "half_life", "trait"]
    hours: tuple[float, ...] = ()

    @property
    def kinetic(self) -> bool:
        """Whether concentrations alone answer it."""
        return self.variable.startswith("plasma_") or self.variable == "hydroxynorketamine" or self.how == "trait"


@dataclass(frozen=True)
class Settings:
    """How arms are simulated.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        Registry.
    variant : str
        Setting of the contested links.
    kinetics : str
        Named kinetic parameter set.
    seed : int
        Root of all randomness.
    resolution : Resolution
        How fine the time grid is.
    rating_error : bool
        Whether ratings carry their error, as a study's do; otherwise they are expected scores.
    keep_failures : bool
        Go on where the solution of some people breaks down; `Answers.broken` says in which draws. Without it their
        arm fails.
    """

    parameters: Mapping[str, Parameter]
    variant: str = "standard"
    kinetics: str = "default"
    seed: int = 0
    resolution: Resolution = RESOLUTION
    rating_error: bool = True
    keep_failures: bool = False


class Answers:
    """What was wanted of arms, answered; arrays of shape (draw, patient, hours).

    Parameters
    ----------
    settings : Settings
    wanted : mapping of Arm to set of Want
        Everything that will be asked.
    progress : callable, optional
        Called with a short text before each arm.
    people_of : callable, optional
        Draws the people of a group; by default the virtual group of a validation.
    shape : tuple of int
        Draws, and patients of each, in which they come.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: Mapping[Arm, set[Want]],
        progress: Callable[[str], None] | None = None,
        *,
        people_of: Callable[[GroupKey], People] | None = None,
        shape: tuple[int, int] = (DRAWS, PATIENTS),
    ) -> None:
        self._settings = settings
        self._people_of = people_of or (lambda group: virtual_group(group, settings.parameters, settings.seed))
        self._shape = shape
        self._found: dict[Arm, dict[Want, Array] | str] = {}
        self.failures: list[str] = []
        self.broken = np.zeros(shape[0], dtype=bool)
        for number, (arm, wants) in enumerate(wanted.items(), start=1):
            if progress is not None:
                progress(f"arm {number} of {len(wanted)}: {arm.study}")
            self._found[arm] = self._answer(arm, wants)

    def __call__(self, arm: Arm, want: Want) -> Array:
        """Return what is wanted of an arm; NotSimulableError where its simulation failed."""
        found = self._found[arm]
        if isinstance(found, str):
            raise NotSimulableError(found)
        return found[want]

    def _answer(self, arm: Arm, wants: set[Want]) -> dict[Want, Array] | str:
        people = self._people_of(arm.group)
        found: dict[Want, Array] = {}
        try:
            kinetic = [want for want in wants if want.kinetic]
            if kinetic:
                found.update(self._kinetic(arm, people, kinetic))
            rest = [want for want in wants if not want.kinetic]
            if rest:
                found.update(self._chain(arm, people, rest))
        except SolverError as error:
            self.failures.append(f"{arm.study}: {error}")
            return f"its simulation failed: {error}"
        except (InputError, NotSimulableError) as error:
            return str(error)
        return found

    def _kinetic(self, arm: Arm, people: People, wants: Sequence[Want]) -> dict[Want, Array]:
        from kapsim.concentrations import concentration_course

        found = {want: self._grouped(people.body.weight) for want in wants if want.how == "trait"}
        curves = [want for want in wants if want.how != "trait"]
        if not curves:
            return found
        start = arm.treatment.start_h
        open_end = any(want.how == "half_life" or np.inf in want.hours for want in curves)
        latest = max([hour for want in curves for hour in want.hours if np.isfinite(hour)] + [arm.treatment.end_h])
        horizon = latest + (_TAIL_H if open_end else 1.0)
        protocol = arm.treatment.protocol("validation", horizon, ())
        course = concentration_course(protocol, people, self._settings.kinetics)
        for want in curves:
            found[want] = self._grouped(_exposure(course, want, start))
        return found

    def _chain(self, arm: Arm, people: People, wants: Sequence[Want]) -> dict[Want, Array]:
        start = arm.treatment.start_h
        hours = sorted({hour for want in wants for hour in want.hours})
        visits = sorted({hour for want in wants if want.variable in RATED for hour in want.hours})
        horizon = max([*hours, arm.treatment.end_h]) + 1.0
        protocol = arm.treatment.protocol("validation", horizon, visits)
        read = self._at(protocol, people, sorted({want.variable for want in wants}), [hour - start for hour in hours])
        found: dict[Want, Array] = {}
        for want in wants:
            values = read[want.variable]
            at = values[:, [1 + hours.index(hour) for hour in want.hours]]
            if want.variable in RATED and self._settings.rating_error:
                at = self._rated(arm, people, want, at, values[:, 0])
            found[want] = self._grouped(at)
        return found

    def _at(
        self, protocol: Protocol, people: People, variables: Sequence[str], hours: Sequence[float]
    ) -> dict[str, Array]:
        """Return variables at the start and at the hours, shape (patient, 1 + hours)."""
        from kapsim.simulation import simulate_people

        dataset = simulate_people(
            protocol,
            people,
            variant=self._settings.variant,
            kinetics=self._settings.kinetics,
            at=hours,
            resolution=self._settings.resolution,
            keep_failures=self._settings.keep_failures,
            variables=variables,
        )
        clock: Array = dataset["time"].values
        nearest = [0, *(int(np.argmin(np.abs(clock - hour))) for hour in hours)]
        found = {name: np.array(dataset[name].values[:, nearest]) for name in variables}
        for values in found.values():
            self.broken |= ~np.isfinite(values).all(axis=1).reshape(self._shape).all(axis=1)
        return found

    def _rated(self, arm: Arm, people: People, want: Want, expected: Array, entry: Array) -> Array:
        """Return what raters wrote down, shape (patient, hours); before the first visit they have seen nobody."""
        registry = self._settings.parameters
        start = arm.treatment.start_h
        ratings = Ratings(people.keyed, people.size, enrolment(arm.group, registry), registry, start)
        # the arms hold the same people, but another rater's visit is another visit
        occasion = f"{zlib.crc32(repr(arm.treatment).encode()):08x}"
        seen = []
        for hour, score in zip(want.hours, expected.T, strict=True):
            if hour <= start + _SAME_VISIT:
                seen.append(ratings.at_entry(want.variable, score))
            else:
                seen.append(ratings.at_visit(want.variable, score, hour, entry=entry, occasion=occasion))
        return np.stack(seen, axis=1)

    def _grouped(self, values: Array) -> Array:
        """Return values by draw and patient, shape (draw, patient, hours)."""
        return np.asarray(values, dtype=float).reshape(*self._shape, -1)


def _exposure(course: Concentrations, want: Want, start: float) -> Array:
    """Return one exposure figure per patient, or the concentrations at hours, shape (patient, figures)."""
    hours = course.hours + start
    values: Array = getattr(course, want.variable).T
    if want.how == "at":
        return np.stack([_interpolate(hours, values, hour) for hour in want.hours], axis=1)
    if want.how in ("cmax", "tmax"):
        low, high = want.hours
        # a sample taken at the time of a bolus would be of blood that the drug has not reached
        inside = (hours >= low) & (hours <= high)
        part = values[:, inside]
        if want.how == "cmax":
            return np.asarray(part.max(axis=1)[:, None])
        peaks: Array = hours[inside].take(part.argmax(axis=1))
        return peaks[:, None] - low
    if want.how == "half_life":
        return np.asarray(np.log(2.0) / _tail_rate(hours, values))[:, None]
    (end,) = want.hours
    if np.isfinite(end):
        inside = hours <= end + 1e-9
        return _area(hours[inside], values[:, inside])[:, None]
    return (_area(hours, values) + values[:, -1] / _tail_rate(hours, values))[:, None]


def _area(hours: Array, values: Array) -> Array:
    return np.asarray(np.trapezoid(values, hours, axis=1))


def _interpolate(hours: Array, values: Array, hour: float) -> Array:
    right = int(np.clip(np.searchsorted(hours, hour), 1, len(hours) - 1))
    share = (hour - hours[right - 1]) / (hours[right] - hours[right - 1])
    return np.asarray((1.0 - share) * values[:, right - 1] + share * values[:, right])


def _tail_rate(hours: Array, values: Array) -> Array:
    """Return the rate at which each curve falls at its end, 1/h, over its last quarter."""
    begin = int(np.searchsorted(hours, hours[-1] - 0.25 * (hours[-1] - hours[0])))
    least = _TAIL_SHARE * values.max(axis=1)
    # without drug there is no tail; the smallest number keeps its logarithm
    first, last = (np.maximum(part, 1e-300) for part in (np.maximum(values[:, begin], least), values[:, -1]))
    return np.asarray(np.maximum(np.log(first / last) / (hours[-1] - hours[begin]), 1e-6))


def collect(requests: Iterable[tuple[Arm, Want]]) -> dict[Arm, set[Want]]:
    """Return what is wanted, by arm, in the order of first mention."""
    wanted: dict[Arm, set[Want]] = {}
    for arm, want in requests:
        wanted.setdefault(arm, set()).add(want)
    return wanted
