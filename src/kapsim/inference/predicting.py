"""Figures of records at many settings of the parameters: what every fit asks of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kapsim.evidence.schema import Point
from kapsim.inference.people import FEW, few_people
from kapsim.validation.arms import Answers, Arm, Settings, Want, collect
from kapsim.validation.cases import Case
from kapsim.validation.figures import Figure, figure
from kapsim.validation.regimens import NotSimulableError

Array = NDArray[np.float64]

#: Half widths of intervals in standard deviations.
_HALF95, _HALF90 = float(norm.ppf(0.975)), float(norm.ppf(0.95))


@dataclass(frozen=True)
class Predictor:
    """The figures of some records, each arm simulated once for all of them.

    Parameters
    ----------
    cases : tuple of Case
        Records that can be simulated.
    """

    cases: tuple[Case, ...]
    _wanted: dict[Arm, set[Want]] = field(default_factory=dict, compare=False)

    @property
    def points(self) -> list[tuple[Case, Point]]:
        """Every figure: its record, and the point of it."""
        return [(case, point) for case in self.cases for point in case.points]

    @property
    def keys(self) -> list[str]:
        """Record and number of every figure."""
        return [f"{case.record.id}:{k}" for case in self.cases for k in range(len(case.points))]

    def figures(
        self,
        settings: Settings,
        known: Mapping[str, Array],
        rows: int,
        few: int = FEW,
        progress: Callable[[str], None] | None = None,
    ) -> list[Figure | None]:
        """Return the model's figures, whose parts have the shape (rows, few); None where an arm could not be solved.

        Where `settings` keep failures, a row in which anybody's solution broke down is not a number in all figures.

        Parameters
        ----------
        settings : Settings
            Registry with the priors, and the variant.
        known : mapping of str to ndarray, shape (rows,)
            Standard deviates of the parameters that vary.
        rows : int
        few : int
            People of each group in a row.
        progress : callable, optional
            Called with a short text before each arm.
        """
        answers = Answers(
            settings,
            self.wanted(),
            progress,
            people_of=lambda group: few_people(group, settings.parameters, known, rows, few),
            shape=(rows, few),
        )
        found: list[Figure | None] = []
        for case, point in self.points:
            assert case.subject is not None
            try:
                found.append(figure(case.subject, point, answers))
            except NotSimulableError:
                found.append(None)
        return [figure if figure is None else _without(figure, answers.broken) for figure in found]

    def wanted(self) -> dict[Arm, set[Want]]:
        """Return what is asked of each arm."""
        if not self._wanted:
            asked: list[tuple[Arm, Want]] = []

            def note(arm: Arm, want: Want) -> Array:
                asked.append((arm, want))
                return np.ones((1, 1, max(len(want.hours), 1)))

            for case, point in self.points:
                assert case.subject is not None
                figure(case.subject, point, note)
            self._wanted.update(collect(asked))
        return self._wanted


def _without(found: Figure, broken: NDArray[np.bool_]) -> Figure:
    """Return a figure whose broken rows are not a number."""
    if not broken.any():
        return found
    return found._replace(parts=tuple(np.where(broken[:, None], np.nan, part) for part in found.parts))


def simulable(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the records that the model can be held against."""
    return tuple(case for case in cases if case.subject is not None)


def standard_error(point: Point, size: int | None) -> float | None:
    """Return the standard error that a source prints or implies, in the record's unit; None where it says nothing.

    Parameters
    ----------
    point : Point
    size : int or None
        People behind the figure, for a printed spread between people.
    """
    if point.se is not None:
        return point.se
    if point.sd is not None and size is not None:
        return point.sd / math.sqrt(size)
    for pair, deviations in ((point.ci95, _HALF95), (point.ci90, _HALF90)):
        # an interval that is open at one end says nothing of the width
        if pair is not None and (ends := [float(end) for end in pair if end is not None]) and len(ends) == len(pair):
            return abs(ends[1] - ends[0]) / (2.0 * deviations)
    return None
