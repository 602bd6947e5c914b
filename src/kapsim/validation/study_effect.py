"""What ratings of one study share: site, region and setting move every arm after the start by the same amount.

The size is that by which changes of the MADRS differ between studies of one treatment. It moves scores after the first
visit, in every arm of the study alike, and a figure moves by what its own statistic makes of that: a mean by all of it,
a share by how many stand near the cut, a difference between arms not at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.scales import from_madrs, gad7_from_hama, maximum
from kapsim.validation.arms import RATED, Arm, Want
from kapsim.validation.predictive import transformed
from kapsim.validation.subject import Ask, Figure

Array = NDArray[np.float64]


def between_studies_of(scale: str) -> float:
    """Return the standard deviation of the change of a rating between studies of one treatment, points of `scale`.

    Parameters
    ----------
    scale : str
        A rated variable; what holds of the MADRS holds of it in proportion to usual severity.
    """
    parameters = load_parameters()
    tau, madrs = parameters["observation.mood.between_study"].value, parameters["patient.madrs"].value
    hama = np.asarray([parameters["patient.hama"].value])
    if scale == "madrs":
        usual = madrs
    elif scale in ("hama", "gad7"):
        usual = float((hama if scale == "hama" else gad7_from_hama(hama))[0])
    else:
        usual = float(from_madrs(scale, np.asarray([madrs]))[0])
    return tau * usual / madrs


def shared_by_ratings(build: Callable[[Ask], Figure], ask: Ask) -> float:
    """Return the standard deviation that a figure of ratings has in common with its study, on the scale of errors.

    Parameters
    ----------
    build : callable
        From the answers to the figure.
    ask : callable
        The answers, as `figure` takes them.
    """

    def moved(sign: float) -> Ask:
        def answer(arm: Arm, want: Want) -> Array:
            values = ask(arm, want)
            if want.variable not in RATED or want.how != "at":
                return values
            after = np.asarray(want.hours) > arm.treatment.start_h
            shift = sign * between_studies_of(want.variable)
            return np.where(after, np.clip(values + shift, 0.0, maximum(want.variable)), values)

        return answer

    worse, better = (build(moved(sign)) for sign in (1.0, -1.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = transformed(worse, worse.join(*worse.parts)) - transformed(better, better.join(*better.parts))
    known = apart[np.isfinite(apart)]
    return 0.5 * abs(float(known.mean())) if known.size else 0.0
