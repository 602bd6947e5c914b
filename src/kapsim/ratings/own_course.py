"""Change of people's own accord: mood that goes up and down beside what is done, and comes back.

A person's severity wanders around where the chain has it, as a stationary process whose correlation falls
exponentially with time: nobody has moved at entry, two visits next to each other see nearly the same, and two far apart
see independent ups and downs. Without it everybody under a control would change alike. Its mean is zero: what people
gain on average without treatment is in the course of care. Each person's course is a sum of waves with frequencies of
their own, drawn from the spectrum of that correlation (a Cauchy law), so that over people the correlation is exact, and
a person's course depends on nothing but their own deviates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Parameter, load_parameters
from kapsim.scales import maximum

Array = NDArray[np.float64]

#: Waves of a person: enough that the changes of people are nearly normal.
_WAVES = 8
#: Least distance of a uniform number from 0 and 1: frequencies stay finite.
_EDGE = 1e-9


class OwnCourse(NamedTuple):
    """How far people wander, and how fast.

    Attributes
    ----------
    sd : float
        Standard deviation at any moment, points of the scale.
    tau : float
        Time in which the correlation falls to 1/e, h.
    """

    sd: float
    tau: float

    def change(self, normal: Callable[[str], Array], hours: float) -> Array:
        """Return how far people have moved since entry, points, shape (patient,).

        Parameters
        ----------
        normal : callable
            From a purpose to standard normal deviates of the people, shape (patient,).
        hours : float
            Time since entry, h.
        """
        from scipy.special import ndtr

        moved = []
        for wave in range(_WAVES):
            uniform = np.clip(ndtr(normal(f"frequency:{wave}")), _EDGE, 1.0 - _EDGE)
            phase = np.tan(math.pi * (uniform - 0.5)) * hours / self.tau
            moved.append((np.cos(phase) - 1.0) * normal(f"even:{wave}") + np.sin(phase) * normal(f"odd:{wave}"))
        return np.asarray(self.sd / math.sqrt(_WAVES) * np.sum(moved, axis=0))


def own_course(scale: str, parameters: Mapping[str, Parameter] | None = None) -> OwnCourse:
    """Return how people's severity wanders on a scale, in proportion to its range.

    Parameters
    ----------
    scale : str
        A rated scale.
    parameters : mapping of str to Parameter, optional
        Registry, by default the shipped one.
    """
    registry = load_parameters() if parameters is None else parameters
    share = maximum(scale) / maximum("madrs")
    return OwnCourse(registry["observation.own_course.sd"].value * share, registry["observation.own_course.tau"].value)


__all__ = ["OwnCourse", "own_course"]
