"""The error of a rating: how large it is and how much of it stays over visits.

A rating is the expected score plus an error of the rater and the patient on that scale. A part of the error lasts (a
lenient rater, a person who complains much, and how a person lies around a published table between scales), a part is
new at each visit. The sum is rounded to whole points, because a total is a sum of items scored in whole points, so that
a cut such as '10 or less' means what it means in a trial; and set to the ends of the scale where it lies beyond them.
Errors on different scales are independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_parameters
from kapsim.scales import maximum

Array = NDArray[np.float64]

#: Scales that a rating is given on, with the words for them.
SCALES: Mapping[str, str] = {
    "madrs": "MADRS",
    "hdrs17": "HDRS-17",
    "qids": "QIDS-SR16",
    "phq9": "PHQ-9",
    "bdi": "BDI",
    "hama": "HAM-A",
    "gad7": "GAD-7",
}


class RatingError(NamedTuple):
    """Standard deviations of the two parts of a rating's error, in points of its scale.

    Attributes
    ----------
    lasting : float
        Part that stays with rater and patient over visits.
    visit : float
        Part that is new at each visit.
    """

    lasting: float
    visit: float

    @property
    def sd(self) -> float:
        """Standard deviation of one rating's error, points."""
        return math.hypot(self.lasting, self.visit)

    @property
    def correlation(self) -> float:
        """Correlation of the errors of two visits; 0 where there is no error."""
        return self.lasting**2 / self.sd**2 if self.sd > 0.0 else 0.0


def rating_error(scale: str, parameters: Mapping[str, Parameter] | None = None) -> RatingError:
    """Return the error of a rating on a scale.

    Parameters
    ----------
    scale : str
        One of `SCALES`.
    parameters : mapping of str to Parameter, optional
        Registry, by default the shipped one.

    Raises
    ------
    InputError
        For a scale that the model does not have.
    """
    if scale not in SCALES:
        raise InputError(f"no error of a rating is known on {scale!r}; known: {', '.join(SCALES)}")
    registry = load_parameters() if parameters is None else parameters
    size, share = registry[f"observation.rating.{scale}"].value, registry["observation.rating.lasting"].value
    around = f"observation.scatter.{scale}"
    scatter = registry[around].value if around in registry else 0.0
    return RatingError(math.hypot(math.sqrt(share) * size, scatter), math.sqrt(1.0 - share) * size)


def as_rated(scale: str, score: Array) -> Array:
    """Return scores as a rater writes them down: whole points, from 0 to the end of the scale.

    Parameters
    ----------
    scale : str
    score : ndarray
        Points.
    """
    # halves go up, as people round, and not to the even number
    return np.clip(np.floor(score + 0.5), 0.0, math.floor(maximum(scale)))
