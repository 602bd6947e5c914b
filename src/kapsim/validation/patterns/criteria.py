"""How a pattern is judged: three rules for its parts, and one for the whole. Written before any of them was run.

A pattern has parts, and each part one of these rules:

- *inside*: the published figure lies in the 90 % interval of what the model expects. Of a single study that is the
  interval of studies of its size. Of a pooled estimate it is that of the draws, widened by the standard error that the
  pool prints, or by the sampling of as many people as it holds; what one study has in common with itself averages out.
- *order*: what is said to be larger is larger in at least 90 % of the draws of the parameters. Each draw has people
  enough that it is the parameters, and not which few people were drawn or how they were rated, that decide.
- *seen*: a study of the size named would find the difference, in the direction named, or would find none (two-sided
  test at 5 %, the mean difference over the draws against the standard error of that study).

A pattern is *met* where every part holds, *not met* where none does, and *partly* met otherwise. What cannot be
computed does not hold. There is no weighing of parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.validation.predictive import INTERVAL, predict
from kapsim.validation.regimens import NotSimulableError
from kapsim.validation.subject import Ask, Figure

Array = NDArray[np.float64]
Rule = Literal["inside", "order", "seen"]
Verdict = Literal["met", "partly", "not met", "input, excluded"]

#: Share of the draws in which an order must hold.
ORDER_SHARE = 0.9
#: People of each draw. With the 32 that a record is scored by, two means of ratings differ by chance alone by a point.
PEOPLE = 256


class Cited(NamedTuple):
    """A published figure with where it stands.

    Attributes
    ----------
    id : str
        Of an observed record or an evidence parameter.
    value : float
    unit : str
    time_h : float or None
        Hour on the record's clock.
    low, high : float or None
        Ends of the printed interval.
    independence : str
        What the figure has taught the model, in the words of `kapsim.validation.independence`.
    """

    id: str
    value: float
    unit: str
    time_h: float | None = None
    low: float | None = None
    high: float | None = None
    independence: str = "independent"


class Criterion(NamedTuple):
    """One part of a pattern.

    Attributes
    ----------
    words : str
        What must hold.
    rule : str
        See the top of this file.
    cited : tuple of Cited
        Where it is published.
    figure : callable
        From the answers to the model's figure; of an order, one number of each draw that must be above 0.
    unit : str
    published : float
        What the figure is held against: a figure, or for 'seen' −1, 0 or +1; not used by an order.
    n : int
        People an arm; not used by an order.
    """

    words: str
    rule: Rule
    cited: tuple[Cited, ...]
    figure: Callable[[Ask], Figure]
    unit: str
    published: float = math.nan
    n: int = 1


class Pattern(NamedTuple):
    """One stylised fact.

    Attributes
    ----------
    number : int
    words : str
    criteria : tuple of Criterion
        None where it is an input of the model.
    left_out : str
        Which published parts are not judged, and why; '' for none.
    """

    number: int
    words: str
    criteria: tuple[Criterion, ...]
    left_out: str = ""


class Part(NamedTuple):
    """What came of one part.

    Attributes
    ----------
    words, rule : str
    cited : tuple of Cited
    unit : str
    published : float or None
        None for an order.
    predicted, low, high : float or None
        Central prediction and 90 % interval (for an order of its size over the draws); None where there is none.
    n : int or None
        People an arm of the studies that the interval is of; None for an order.
    share : float or None
        For an order, the share of draws in which it holds.
    holds : bool
    reason : str or None
        Why nothing could be computed.
    """

    words: str
    rule: Rule
    cited: tuple[Cited, ...]
    unit: str
    published: float | None
    predicted: float | None
    low: float | None
    high: float | None
    n: int | None
    share: float | None
    holds: bool
    reason: str | None = None


class Judged(NamedTuple):
    """A pattern with its verdict.

    Attributes
    ----------
    number : int
    words : str
    verdict : str
        'met', 'partly', 'not met', or 'input, excluded'.
    parts : tuple of Part
    left_out : str
    """

    number: int
    words: str
    verdict: Verdict
    parts: tuple[Part, ...]
    left_out: str


def judge(pattern: Pattern, ask: Ask, seed: int) -> Judged:
    """Return a pattern with what came of each part and of the whole.

    Parameters
    ----------
    pattern : Pattern
    ask : callable
        The answers of the simulated arms.
    seed : int
        Root of all randomness.
    """
    parts = tuple(
        _judged(criterion, ask, seed, f"pattern{pattern.number}:{position}")
        for position, criterion in enumerate(pattern.criteria)
    )
    return Judged(pattern.number, pattern.words, verdict([part.holds for part in parts]), parts, pattern.left_out)


def verdict(holds: list[bool]) -> Verdict:
    """Return the verdict on a pattern from whether its parts hold; without parts it is an input.

    Parameters
    ----------
    holds : list of bool
    """
    if not holds:
        return "input, excluded"
    if all(holds):
        return "met"
    return "partly" if any(holds) else "not met"


def _judged(criterion: Criterion, ask: Ask, seed: int, key: str) -> Part:
    empty = Part(
        criterion.words, criterion.rule, criterion.cited, criterion.unit,
        None if criterion.rule == "order" else criterion.published, None, None, None,
        None if criterion.rule == "order" else criterion.n, None, False,
    )  # fmt: skip
    try:
        figure = criterion.figure(ask)
        if criterion.rule == "order":
            return _ordered(empty, np.asarray(figure.join(*figure.parts), dtype=float))
        found = predict(figure, criterion.n, seed, key)
    except NotSimulableError as refusal:
        return empty._replace(reason=str(refusal))
    if not math.isfinite(found.centre):
        return empty._replace(reason="nobody in the virtual group enters the phase that it is about")
    if criterion.rule == "seen":
        holds = found.centre == criterion.published
    else:
        holds = found.low <= criterion.published <= found.high
    return empty._replace(predicted=found.centre, low=found.low, high=found.high, holds=bool(holds))


def _ordered(empty: Part, sizes: Array) -> Part:
    """Return the part about an order; a draw without a size does not show it."""
    share = float(np.mean(np.nan_to_num(sizes, nan=-1.0) > 0.0))
    if not np.isfinite(sizes).any():
        return empty._replace(share=share, reason="nobody in the virtual group enters the phase that it is about")
    low, middle, high = np.nanquantile(sizes, [(1.0 - INTERVAL) / 2, 0.5, (1.0 + INTERVAL) / 2])
    # shares of few draws are sums of floats
    holds = share >= ORDER_SHARE - 1e-9
    return empty._replace(predicted=float(middle), low=float(low), high=float(high), share=share, holds=holds)
