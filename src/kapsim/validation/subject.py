"""What a figure of the model is, and the record and arm that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence.schema import ObservedRecord
from kapsim.units import convert
from kapsim.validation.arms import Arm, Want
from kapsim.validation.observables import MISSING, SIMULATED, Observable
from kapsim.validation.regimens import NotSimulableError, Treatment

Array = NDArray[np.float64]
Ask = Callable[[Arm, Want], Array]
Scale = Literal["log", "percent", "points", "share", "effect", "sign"]


class Figure(NamedTuple):
    """One predicted figure.

    Attributes
    ----------
    parts : tuple of ndarray, each of shape (draw, patient)
        What the figure is made from.
    join : callable
        From the parts, over their last axis, to the figure.
    scale : str
        How errors are counted: on a logarithm (a percent change as the ratio it stands for), in points, in percentage
        points of people, in standard deviations, or by sign.
    paired : bool
        Whether the parts are of the same people.
    noise : tuple of float
        Standard deviation of one measurement of each part.
    relative : bool
        Whether it is relative to the part's mean; otherwise it is in the part's unit.
    shared : float
        Standard deviation of what all figures of a study share (its assay, its site), on the scale of errors.
    """

    parts: tuple[Array, ...]
    join: Callable[..., Array]
    scale: Scale
    paired: bool
    noise: tuple[float, ...]
    relative: bool = True
    shared: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A record with what is needed to ask for its figures.

    Parameters
    ----------
    record : ObservedRecord
    arm : Arm
        Its own arm.
    """

    record: ObservedRecord
    arm: Arm

    @property
    def observable(self) -> Observable:
        """What the model has for the record's observable; NotSimulableError where it has nothing."""
        name = self.record.outcome.observable
        if name in SIMULATED:
            return SIMULATED[name]
        raise NotSimulableError(MISSING[name])

    def other(self, treatment: Treatment, *, healthy: bool = False) -> Arm:
        """Return an arm of the same study under another treatment."""
        group = self.arm.group
        if healthy:
            group = group._replace(depressed=False, madrs=None, madrs_sd=None, hama=None, hama_sd=None)
        return Arm(self.arm.study, group, treatment)


def is_concentration(observable: Observable) -> bool:
    """Whether an observable is a concentration in blood."""
    return observable.variable.startswith("plasma_") or observable.variable == "hydroxynorketamine"


def unit_factor(own: str, wanted: str) -> float:
    """Return what turns the model's unit into the record's; NotSimulableError where nothing does."""
    try:
        return convert(1.0, own, wanted)
    except InputError as error:
        raise NotSimulableError(f"its unit does not fit the statistic: {error}") from None
