"""What ratings of one study share, and what an arm has for itself, beyond chance and rating error.

Site, region and setting move every arm after the start by the same amount, of the size by which changes of the MADRS
differ between studies of one treatment. Raters, drop-out and models of missing ratings move each arm by its own. A
figure moves by what its statistic makes of that: a mean by all of it, a difference between arms only by what each has
for itself. Shares of people and standardised differences scatter more than means moved like that would make them,
because studies differ in whom they take in and how they count, too: theirs is found of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.scales import from_madrs, gad7_from_hama, maximum
from kapsim.validation.arms import RATED, Arm, Want
from kapsim.validation.predictive import transformed
from kapsim.validation.subject import Ask, Figure

Array = NDArray[np.float64]

_ALL = 100.0


class Scatter(NamedTuple):
    """Standard deviations of the change of a rating beyond sampling, points of its scale.

    Attributes
    ----------
    between : float
        Between studies of one treatment.
    within : float
        Between arms of one study.
    """

    between: float
    within: float


def scatter_of(scale: str) -> Scatter:
    """Return how far means of a rating scatter beyond sampling.

    Parameters
    ----------
    scale : str
        A rated variable; what holds of the MADRS holds of it in proportion to usual severity.
    """
    parameters = load_parameters()
    madrs = parameters["patient.madrs"].value
    hama = np.asarray([parameters["patient.hama"].value])
    if scale == "madrs":
        usual = madrs
    elif scale in ("hama", "gad7"):
        usual = float((hama if scale == "hama" else gad7_from_hama(hama))[0])
    else:
        usual = float(from_madrs(scale, np.asarray([madrs]))[0])
    share = usual / madrs
    between, within = (parameters[f"observation.mood.{part}_study"].value for part in ("between", "within"))
    return Scatter(between * share, within * share)


def own_scatter(kind: str) -> Scatter:
    """Return how far figures of a kind scatter beyond sampling.

    Parameters
    ----------
    kind : str
        ``share`` (on the scale of logits) or ``effect`` (standard deviations).
    """
    parameters = load_parameters()
    return Scatter(*(parameters[f"observation.mood.{part}_study_{kind}"].value for part in ("between", "within")))


def shared_by_ratings(build: Callable[[Ask], Figure], ask: Ask) -> float:
    """Return the standard deviation that a figure of ratings has beyond sampling, on the scale of errors.

    Parameters
    ----------
    build : callable
        From the answers to the figure.
    ask : callable
        The answers, as `figure` takes them.
    """
    found = build(ask)
    if found.scale in ("share", "effect"):
        size = math.hypot(*own_scatter(found.scale))
        if found.scale == "effect":
            return size
        shares = np.asarray(found.join(*found.parts)) / _ALL
        known = shares[np.isfinite(shares)]
        # the slope of a share in its logit; nobody may have entered a phase
        return _ALL * float(known.mean() * (1.0 - known.mean())) * size if known.size else 0.0

    arms: dict[Arm, None] = {}

    def noted(arm: Arm, want: Want) -> Array:
        arms[arm] = None
        return ask(arm, want)

    def moved(which: Callable[[Arm], bool], size: Callable[[Scatter], float]) -> float:
        def answer(sign: float) -> Ask:
            def answered(arm: Arm, want: Want) -> Array:
                values = noted(arm, want)
                if want.variable not in RATED or want.how != "at" or not which(arm):
                    return values
                after = np.asarray(want.hours) > arm.treatment.start_h
                shift = sign * size(scatter_of(want.variable))
                return np.where(after, np.clip(values + shift, 0.0, maximum(want.variable)), values)

            return answered

        worse, better = (build(answer(sign)) for sign in (1.0, -1.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = transformed(worse, worse.join(*worse.parts)) - transformed(better, better.join(*better.parts))
        finite = apart[np.isfinite(apart)]
        return 0.5 * abs(float(finite.mean())) if finite.size else 0.0

    common = moved(lambda arm: True, lambda scatter: scatter.between)
    own = [moved(one.__eq__, lambda scatter: scatter.within) for one in tuple(arms)]
    return math.hypot(common, *own)
