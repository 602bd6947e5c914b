"""What patterns are made of: published figures by id, the arms of records, and figures of simulated arms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import EvidenceParameter, Parameter
from kapsim.evidence.schema import Point
from kapsim.validation.arms import Arm, Want
from kapsim.validation.cases import Case, people_per_arm
from kapsim.validation.figures import figure
from kapsim.validation.groups import DRAWS
from kapsim.validation.joining import PERCENT, standardised
from kapsim.validation.patterns.criteria import PEOPLE, Cited, Criterion
from kapsim.validation.regimens import without_drug
from kapsim.validation.study_effect import shared_by_ratings
from kapsim.validation.subject import Ask, Figure, Scale, Subject

Array = NDArray[np.float64]
Build = Callable[[Ask], Figure]

#: As many people as are simulated: what sampling leaves beside the printed error of a pool is then next to nothing.
_MANY = DRAWS * PEOPLE
#: Normal deviates between the ends of a 95 % interval.
_WIDTH95 = 2.0 * 1.959964


class Published:
    """Published figures by id, and the arms of the records among them.

    A reference is the id of an evidence parameter, the id of a record with one figure, or `record@hour`.

    Parameters
    ----------
    cases : sequence of Case
        Records made ready.
    evidence : mapping of str to EvidenceParameter
    parameters : mapping of str to Parameter
        Registry.
    """

    def __init__(
        self, cases: Sequence[Case], evidence: Mapping[str, EvidenceParameter], parameters: Mapping[str, Parameter]
    ) -> None:
        self._cases = {case.record.id: case for case in cases}
        self._evidence = evidence
        self.parameters = parameters

    @property
    def cases(self) -> tuple[Case, ...]:
        """Records made ready."""
        return tuple(self._cases.values())

    def subject(self, record: str) -> Subject:
        """Return a record with its arm."""
        subject = self._cases[record].subject
        if subject is None:
            raise InputError(f"{record}: cannot be simulated, so no pattern can ask for its arm")
        return subject

    def arm(self, record: str) -> Arm:
        """Return the arm of a record."""
        return self.subject(record).arm

    def value(self, reference: str) -> float:
        """Return a published figure."""
        return self.cited(reference).value

    def point(self, reference: str) -> Point:
        """Return the point of a record that a reference names.

        Raises
        ------
        InputError
            Where the record has no point at that hour, or several and no hour is named.
        """
        name, _, hour = reference.partition("@")
        record = self._cases[name].record
        points = [
            p for p in record.points if not hour or (p.time_h is not None and math.isclose(p.time_h, float(hour)))
        ]
        if len(points) != 1:
            raise InputError(f"{reference}: {len(points)} figures answer to it; name one hour, as in record@24")
        return points[0]

    def cited(self, reference: str) -> Cited:
        """Return a published figure with where it stands."""
        name = reference.partition("@")[0]
        if name in self._cases:
            point = self.point(reference)
            low, high = point.ci95 or point.ci90 or (None, None)
            case = self._cases[name]
            unit, taught = case.record.outcome.unit, case.frame.independence
            return Cited(name, point.value, unit, point.time_h, low, high, taught)
        source = self._evidence[name]
        if source.value is None:
            raise InputError(f"{name}: has no value")
        pair = source.spread.value if source.spread is not None and isinstance(source.spread.value, tuple) else None
        low, high = pair or (None, None)
        used = any(name in parameter.sources for parameter in self.parameters.values())
        return Cited(name, source.value, source.unit, None, low, high, "parameter_source" if used else "independent")

    def last(self, identity: str) -> float:
        """Return the upper end of what an evidence parameter prints as its range."""
        cited = self.cited(identity)
        if cited.high is None:
            raise InputError(f"{identity}: has no upper end")
        return cited.high

    def hour(self, reference: str) -> float:
        """Return the hour of a record's figure, on the record's clock."""
        hour = self.point(reference).time_h
        if hour is None:
            raise InputError(f"{reference}: has no time")
        return hour

    @property
    def response(self) -> float:
        """The fall from baseline, as a share of it, that counts as a response."""
        return self.parameters["mood.definition.response"].value

    def half(self, identity: str) -> int:
        """Return the people of one of two arms behind a pooled estimate."""
        people = self._evidence[identity].n
        if people is None:
            raise InputError(f"{identity}: says neither how sure it is nor of how many people")
        return round(people / 2)

    def people(self, reference: str) -> int:
        """Return how many people an arm stand behind a record's figure."""
        return people_per_arm(self._cases[reference.partition("@")[0]].record, self.point(reference))

    # --- criteria ----------------------------------------------------------------------------------------------------

    def inside(self, reference: str, words: str) -> Criterion:
        """Return the criterion that a record's own figure is inside its interval, read off as validation does.

        Parameters
        ----------
        reference : str
        words : str
            What the figure is.
        """
        subject, point = self.subject(reference.partition("@")[0]), self.point(reference)
        cited = self.cited(reference)
        return Criterion(
            words, "inside", (cited,), lambda ask: figure(subject, point, ask), cited.unit, cited.value,
            self.people(reference),
        )  # fmt: skip

    def study(self, words: str, references: Sequence[str], value: float, build: Build, unit: str, n: int) -> Criterion:
        """Return the criterion that a figure made from those of one study is inside the interval of its size."""
        return Criterion(words, "inside", self._all(references), shared(build), unit, value, n)

    def pool(self, words: str, reference: str, build: Build) -> Criterion:
        """Return the criterion that a pooled estimate is inside the interval of the draws and of its own error.

        Parameters
        ----------
        words : str
        reference : str
            An evidence parameter with a 95 % interval, else with a number of people (of two arms together).
        build : callable
            The figure.
        """
        cited, spread = self.cited(reference), self._evidence[reference].spread
        if spread is not None and spread.kind == "ci95" and cited.low is not None and cited.high is not None:
            wide, n = _widened(build, cited.low, cited.high), _MANY
        else:
            wide, n = build, self.half(reference)
        return Criterion(words, "inside", (cited,), wide, cited.unit, cited.value, n)

    def order(self, words: str, references: Sequence[str], size: Callable[[Ask], Array], unit: str) -> Criterion:
        """Return the criterion that a size, one of each draw, is above 0."""

        def build(ask: Ask) -> Figure:
            return Figure((size(ask),), lambda a: a, "points", True, (0.0,))

        return Criterion(words, "order", self._all(references), build, unit)

    def seen(
        self, words: str, references: Sequence[str], direction: float, parts: Callable[[Ask], tuple[Array, Array]],
        n: int, *, paired: bool = False,
    ) -> Criterion:  # fmt: skip
        """Return the criterion that a study finds the first part higher (+1), lower (−1), or no different (0).

        Parameters
        ----------
        words : str
        references : sequence of str
        direction : float
        parts : callable
            Two groups of people, or the same people twice (`paired`).
        n : int
            People an arm of the study.
        paired : bool
        """

        def build(ask: Ask) -> Figure:
            return Figure(parts(ask), lambda a, b: (a - b).mean(axis=-1), "sign", paired, (0.0, 0.0))

        return Criterion(words, "seen", self._all(references), build, "1", direction, n)

    def _all(self, references: Sequence[str]) -> tuple[Cited, ...]:
        return tuple(self.cited(reference) for reference in references)


def _widened(build: Build, low: float, high: float) -> Build:
    """Return a figure with the standard error that a pool prints as the ends of its 95 % interval."""

    def wide(ask: Ask) -> Figure:
        found = build(ask)
        width = math.log(high / low) if found.scale == "log" else high - low
        return found._replace(shared=width / _WIDTH95)

    return wide


def shared(build: Build) -> Build:
    """Return a figure of ratings of one study with what its arms have in common."""

    def moved(ask: Ask) -> Figure:
        return build(ask)._replace(shared=shared_by_ratings(build, ask))

    return moved


# --- arms ------------------------------------------------------------------------------------------------------------


def typical(arm: Arm, label: str) -> Arm:
    """Return what an arm receives in the usual population, for estimates that pool studies.

    Parameters
    ----------
    arm : Arm
    label : str
        Stands for the study, whose visits an arm shares.
    """
    group = arm.group._replace(
        age=None, age_sd=None, weight=None, female=None, madrs=None, madrs_sd=None, hama=None, hama_sd=None, scale=None
    )
    return Arm(label, group, arm.treatment)


def control_of(arm: Arm, control: str = "placebo") -> Arm:
    """Return the same people with a control ('placebo' or 'midazolam') in place of ketamine."""
    return arm._replace(treatment=without_drug(arm.treatment, control))


def masked(arm: Arm, masking: str) -> Arm:
    """Return the same arm under another masking of the trial."""
    return arm._replace(treatment=replace(arm.treatment, masking=masking))


def dosed(arm: Arm, amount: float) -> Arm:
    """Return the same arm with every dose of another amount, in the unit that it has."""
    doses = tuple(dose.model_copy(update={"amount": amount}) for dose in arm.treatment.doses)
    return arm._replace(treatment=replace(arm.treatment, doses=doses))


# --- readings, of shape (draw, patient) ------------------------------------------------------------------------------


def score(ask: Ask, arm: Arm, hour: float, variable: str = "madrs") -> Array:
    """Return scores at an hour."""
    return ask(arm, Want(variable, "at", (hour,)))[..., 0]


def change(ask: Ask, arm: Arm, hour: float, since: float = 0.0, variable: str = "madrs") -> Array:
    """Return changes of a score from the hour `since`; relief is negative."""
    return score(ask, arm, hour, variable) - score(ask, arm, since, variable)


def responders(ask: Ask, arm: Arm, hour: float, fall: float) -> Array:
    """Return 1 for those whose MADRS at an hour lies by the share `fall` below that at 0, else 0."""
    return (score(ask, arm, hour) <= (1.0 - fall) * score(ask, arm, 0.0)).astype(float)


def advantage(ask: Ask, arm: Arm, other: Arm, hour: float) -> Array:
    """Return by how many points of the MADRS an arm fell further than another, shape (draw,)."""
    return np.asarray((change(ask, other, hour) - change(ask, arm, hour)).mean(axis=-1))


# --- figures ---------------------------------------------------------------------------------------------------------


def percent_of(build: Callable[[Ask], Array]) -> Build:
    """Return the share of people who count, %."""
    return lambda ask: Figure((build(ask),), lambda a: PERCENT * a.mean(axis=-1), "share", True, (0.0,))


def difference(build: Callable[[Ask], tuple[Array, Array]]) -> Build:
    """Return the difference of the means of two arms, in points."""
    return lambda ask: Figure(build(ask), lambda a, b: a.mean(axis=-1) - b.mean(axis=-1), "points", False, (0.0, 0.0))


def effect(build: Callable[[Ask], tuple[Array, Array]]) -> Build:
    """Return the difference of two arms over the spread within them."""
    return lambda ask: Figure(build(ask), standardised, "effect", False, (0.0, 0.0))


def made(join: Callable[..., Array], scale: Scale, parts: Callable[[Ask], tuple[Array, ...]], *, paired: bool) -> Build:
    """Return a figure joined in a way of its own."""

    def build(ask: Ask) -> Figure:
        found = parts(ask)
        return Figure(found, join, scale, paired, (0.0,) * len(found))

    return build


def joined(found: Figure) -> Array:
    """Return a figure in each draw, shape (draw,)."""
    return np.asarray(found.join(*found.parts))
