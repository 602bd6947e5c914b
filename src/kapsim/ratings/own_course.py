"""Change of people's own accord: mood that goes up and down beside what is done, and comes back.

A person's severity wanders around where the chain has it, as a stationary process whose correlation falls
exponentially with time: nobody has moved at entry, two visits next to each other see nearly the same, and two far apart
see independent ups and downs. Without it everybody under a control would change alike. Its mean is zero: what people
gain on average without treatment is in the course of care. The process is a sum of waves whose frequencies divide the
spectrum of that correlation evenly, so that a person's course depends on nothing but their own deviates.
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

#: Waves that the process is made of; the correlation is met within 0.03 (tested).
_WAVES = 24


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
        size = self.sd / math.sqrt(_WAVES)
        moved = []
        for wave in range(_WAVES):
            phase = math.tan(math.pi * (wave + 0.5) / (2.0 * _WAVES)) * hours / self.tau
            moved.append((math.cos(phase) - 1.0) * normal(f"even:{wave}") + math.sin(phase) * normal(f"odd:{wave}"))
        return np.asarray(size * np.sum(moved, axis=0))


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
