"""How people spread in an outcome: the standard deviation that a record prints beside its mean, and the model's.

A model may meet every mean by moving all people alike, where in trials some respond and some do not. The spread of
rated scores and of their change tells the two apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence.schema import Point
from kapsim.validation.arms import RATED
from kapsim.validation.figures import Figure, Subject
from kapsim.validation.predictive import predict

Array = NDArray[np.float64]


class Spread(NamedTuple):
    """Standard deviation between people, in the record's unit.

    Attributes
    ----------
    observed : float
        As printed, or from a printed standard error and the number of people.
    predicted, low, high : float
        Central prediction and 90 % interval of what a study of that size would print.
    """

    observed: float
    predicted: float
    low: float
    high: float


def printed_spread(point: Point) -> float | None:
    """Return the standard deviation between people that a point prints; None where it prints none.

    Parameters
    ----------
    point : Point
    """
    if point.sd is not None:
        return point.sd if point.sd > 0.0 else None
    if point.se is not None and point.n is not None:
        return point.se * math.sqrt(point.n) if point.se > 0.0 else None
    return None


def prints_spread(subject: Subject, point: Point) -> bool:
    """Return whether a point prints the spread of ratings, or of their change from baseline.

    Parameters
    ----------
    subject : Subject
    point : Point
    """
    outcome = subject.record.outcome
    change = outcome.statistic == "change" and outcome.against in ("baseline", "before")
    kind = outcome.statistic == "mean" or change
    return kind and printed_spread(point) is not None and subject.observable.variable in RATED


def spread_figure(figure: Figure) -> Figure:
    """Return the spread between people of a mean (one part) or of a change (after and before).

    Parameters
    ----------
    figure : Figure
        In points, of a point that prints a spread.
    """
    people = figure.parts[0] if len(figure.parts) == 1 else figure.parts[0] - figure.parts[1]
    return Figure((people,), lambda a: a.std(axis=-1, ddof=1), "log", True, (0.0,))


def spread(subject: Subject, point: Point, figure: Figure, n: int, seed: int, key: str) -> Spread | None:
    """Return the spread of ratings, or of their change, beside what the record prints.

    Parameters
    ----------
    subject : Subject
    point : Point
    figure : Figure
        The figure of the point.
    n : int
        People behind it, at least 2 for a spread.
    seed : int
        Root of all randomness.
    key : str
        As `predict` takes it.

    Returns
    -------
    Spread or None
        None where the figure is not a mean or a change of ratings, or the point prints no spread.
    """
    observed = printed_spread(point)
    if observed is None or n < 2 or figure.scale != "points" or not prints_spread(subject, point):
        return None
    found = predict(spread_figure(figure), n, seed, f"{key}:spread")
    return Spread(observed, found.centre, found.low, found.high)
