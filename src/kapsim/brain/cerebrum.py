"""A cortex at the working point, and where it comes to rest in the states that a response surface spans.

What the inputs do to the regions: the pyramidal cut lowers local and long-range excitation, the cut onto interneurons
their drive; strength multiplies all local recurrence and is balanced by feedback inhibition region by region,
subgenual efficacy multiplies that of the subgenual node and is balanced only in the cortex' mean rate, by one factor
on all inhibition. So without drug the mean rate is at its set point in everybody, and the pyramidal rate exactly 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.fixed_point import FixedPoint, follow, rest
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.held_rate import held_rate
from kapsim.brain.mean_field import MeanField, RegionalInputs
from kapsim.brain.measures import connectivity_measure, relative_activity
from kapsim.brain.moments import bold_connectivity
from kapsim.brain.working_point import WorkingPoint, working_point
from kapsim.errors import FixedPointError
from kapsim.mechanisms.response_surface import Cortex, Variables

Array = NDArray[np.float64]

#: Relative step of the derivatives behind the equivalents.
STEP = 1e-4


@dataclass(frozen=True)
class Cerebrum:
    """A connectome at the working point, healthy and at rest, and what may be asked of it.

    Attributes
    ----------
    connectome : Connectome
    model : MeanField
    coupling : ndarray, shape (R, R)
    home : FixedPoint
        Healthy, at rest.
    balloon : Balloon
    """

    connectome: Connectome
    model: MeanField
    coupling: Array
    home: FixedPoint
    balloon: Balloon

    @classmethod
    def at_working_point(cls, connectome: Connectome, point: WorkingPoint | None = None) -> Cerebrum:
        """Return the cortex of a connectome at the working point.

        Raises
        ------
        InputError
            If its parcellation lacks the default mode network or the subgenual cingulate.
        FixedPointError
            If rest is not stable.
        """
        for name in ("default", "subgenual"):
            connectome.regions.members(name)
        model = MeanField.build()
        coupling = (working_point() if point is None else point).scaled(connectome)
        return cls(connectome, model, coupling, rest(model, coupling), Balloon.build())

    def regional(self, cortex: Cortex, inhibition: Array) -> RegionalInputs:
        """Return what acts on the regions, `inhibition` being what balances without drug, shape (R,)."""
        efficacy = np.ones(len(self.coupling))
        efficacy[self.connectome.regions.members("subgenual")] = cortex.subgenual
        return RegionalInputs(
            inhibition=inhibition * np.exp(cortex.inhibition),
            recurrent=1.0 - cortex.pyramidal_cut,
            long_range=1.0 - cortex.pyramidal_cut,
            onto_interneurons=1.0 - cortex.interneuron_cut,
            strength=cortex.strength,
            efficacy=efficacy,
        )

    def undrugged(self, strength: float, subgenual: float) -> FixedPoint:
        """Return a person's resting state: strength balanced everywhere, the mean rate by one factor on inhibition."""
        balanced = rest(self.model, self.coupling, RegionalInputs(0.0, strength=strength))
        cortex = Cortex(0.0, 0.0, 0.0, strength, subgenual)
        try:
            return held_rate(balanced, self.regional(cortex, balanced.inputs.inhibition), self.rows)[0]
        except FixedPointError as error:
            raise FixedPointError(
                f"{self.connectome.name}: at strength {strength:g} and subgenual efficacy {subgenual:g}: {error}"
            ) from None

    def state(self, cortex: Cortex) -> FixedPoint:
        """Return the fixed point at a state of the cortex, reached from the person's own rest.

        Raises
        ------
        FixedPointError
            If the low branch ends on the way.
        """
        start = self.undrugged(cortex.strength, cortex.subgenual)
        return follow(start, self.regional(cortex, start.inputs.inhibition))

    def mean_rate(self, point: FixedPoint, pool: str = "excitatory") -> float:
        """Return the mean rate of a pool over the cortex, Hz."""
        rates: Array = getattr(point.firing, pool)
        return float(rates[self.rows].mean())

    @property
    def rows(self) -> NDArray[np.intp]:
        """Regions of the cortex."""
        return np.flatnonzero(self.connectome.regions.cortical)

    def rates(self, point: FixedPoint) -> dict[str, float]:
        """Return mean pyramidal and interneuron rate (Hz)."""
        return {"pyramidal": self.mean_rate(point), "interneuron": self.mean_rate(point, "inhibitory")}

    def measures(self, point: FixedPoint) -> dict[str, float]:
        """Return DMN activity over that of the cortex, and connectivity within it and with the subgenual node (z)."""
        regions = self.connectome.regions
        connectivity = bold_connectivity(point, self.balloon)
        return {
            "dmn": float(relative_activity(point.firing.excitatory, regions)),
            "dmn_connectivity": float(connectivity_measure(connectivity, regions, "dmn_within")),
            "sgacc_dmn": float(connectivity_measure(connectivity, regions, "subgenual_dmn")),
        }

    def equivalents(self) -> tuple[float, float]:
        """Return the cuts onto interneurons that a pyramidal cut, and a rise of the logarithm of inhibition, undo."""

        def slope(name: str) -> float:
            up, down = (self.state(Cortex(0.0, 0.0, 0.0, 1.0, 1.0)._replace(**{name: sign * STEP})) for sign in (1, -1))
            return float(np.log(self.mean_rate(up) / self.mean_rate(down))) / (2.0 * STEP)

        by_interneurons = slope("interneuron_cut")
        return -slope("pyramidal_cut") / by_interneurons, -slope("inhibition") / by_interneurons


def cortex_at(variables: Variables, equivalents: tuple[float, float]) -> Cortex:
    """Return the state of the cortex at which a surface has these variables."""
    pyramidal, inhibition = equivalents
    return Cortex(
        pyramidal_cut=variables.pyramidal,
        interneuron_cut=variables.net + pyramidal * variables.pyramidal + inhibition * variables.inhibition,
        inhibition=variables.inhibition,
        strength=1.0 + variables.strength,
        subgenual=1.0 + variables.subgenual,
    )
