"""States: what the chain says of a person at an hour → what acts on the regions of their cortex.

**Block** lowers NMDA coupling by a small share of itself: recurrent and long-range excitation by 1 − f_E B_P,
excitation of interneurons by 1 − f_I B_I. The share is small because AMPA carries the rest of the current that the mean
field's one constant stands for; published circuits use cuts of 2 and 3 %.

**Local inhibition** is at first what balanced the cortex before the drug, so that block moves rates. It then drifts,
with the chain's time constant, to the inhibition at which every region would be back at its set point. That goal has a
closed form and is, for cuts this small, linear in them; so the drift of inhibition is the inhibition that belongs to
the drift of the cuts, two numbers a person.

**Slow states** (synaptic strength: spines times their potentiation; glutamate uptake) are balanced as they change: a
synapse that grows in days moves connectivity and no rate, as in the chain; a share of the recurrence takes part in it.

**Depression** is a distribution over slow states and two efficacies that inhibition makes up for only in the mean rate
of the cortex, by one factor everywhere (`held_rate`), as in the chain's response surface: that of the subgenual
cingulate, and that of the default mode network against the cortex. The latter has no agreed sign: pooled data find less
connectivity within the network, seed studies more, so it is centred on none and people of both signs occur.

The surge of glutamate under the drug is not an input: it follows from disinhibition, and would be counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.fixed_point import rest
from kapsim.brain.held_rate import held_rate
from kapsim.brain.mean_field import MeanField, RegionalInputs
from kapsim.errors import FixedPointError, InputError
from kapsim.mechanisms.glutamate import Glutamate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from kapsim.brain.regions import Regions
    from kapsim.patient.sampling import People

Array = NDArray[np.float64]

SUBGENUAL, DEFAULT = "subgenual", "default"
#: Nodes of the course of block, h from a dose: what inhibition drifts after.
AFTER_DOSE_H = (*np.arange(0.0, 2.0, 1.0 / 12.0), *np.arange(2.0, 8.0, 0.5), *np.arange(8.0, 48.1, 4.0))


@dataclass(frozen=True, eq=False)
class CorticalStates:
    """What acts on the cortex of each person at each hour.

    Attributes
    ----------
    hours : ndarray, shape (hour,)
        Hours from the start of the protocol.
    cut_excitatory, cut_interneuron : ndarray, shape (person, hour)
        Share of NMDA coupling that block takes from excitatory pools and from interneurons.
    drift_excitatory, drift_interneuron : ndarray, shape (person, hour)
        The same shares as local inhibition has followed them.
    strength : ndarray, shape (person, hour)
        Factor on local recurrence: a share of the synapses takes part in a change of strength; healthy = 1.
    uptake : ndarray, shape (person, hour)
        Glutamate uptake, healthy = 1.
    subgenual, default : ndarray, shape (person,)
        Excitatory efficacy of the subgenual cingulate and of the default mode network, healthy = 1.
    """

    hours: Array
    cut_excitatory: Array
    cut_interneuron: Array
    drift_excitatory: Array
    drift_interneuron: Array
    strength: Array
    uptake: Array
    subgenual: Array
    default: Array

    @property
    def size(self) -> int:
        """Number of people."""
        return len(self.subgenual)

    @property
    def drugged(self) -> bool:
        """Whether block, present or past, acts on anybody at any of the hours."""
        cuts = (self.cut_excitatory, self.cut_interneuron, self.drift_excitatory, self.drift_interneuron)
        return any(bool(part.any()) for part in cuts)

    def healthy(self) -> CorticalStates:
        """Return as many healthy people without drug: every factor is 1."""
        zero, one = np.zeros_like(self.strength), np.ones_like(self.strength)
        return CorticalStates(self.hours, zero, zero, zero, zero, one, one, one[:, 0], one[:, 0])

    def without_block(self) -> CorticalStates:
        """Return the same people at the same hours with no block: what slow states alone do."""
        zero = np.zeros_like(self.strength)
        return replace(self, cut_excitatory=zero, cut_interneuron=zero, drift_excitatory=zero, drift_interneuron=zero)

    def resting(
        self, hour: int, coupling: Array, regions: Regions, field: MeanField | None = None, base: Array | float = 1.0
    ) -> RegionalInputs:
        """Return the inputs at an hour without block and efficacies: balanced, every region at its set point.

        Parameters
        ----------
        hour : int
            Place among `hours`.
        coupling : ndarray, shape (R, R)
            Long-range weights G C.
        regions : Regions
        field : MeanField, optional
        base : ndarray, shape (R,), optional
            Local recurrence of each region in the healthy, as from `WorkingPoint.heterogeneous`.

        Returns
        -------
        RegionalInputs
            Shape (person, R) each.
        """
        zero = np.zeros(self.size)
        return self._inputs(hour, coupling, regions, field, base, (zero, zero), (zero, zero), np.ones((self.size, 1)))

    def inputs(
        self,
        hour: int,
        coupling: Array,
        regions: Regions,
        field: MeanField | None = None,
        base: Array | float = 1.0,
        *,
        held: Array | None = None,
    ) -> RegionalInputs:
        """Return what acts on the regions at an hour; arguments and result as for `resting`.

        `held` is what `CorticalStates.held` gives for the same arguments, where that is at hand. A connectome without a
        set ``subgenual`` or ``default`` has no such efficacy. Where efficacies throw a person's cortex off its low
        branch whatever its inhibition, nothing is made up for; `held` is not a number there.
        """
        factor = self.held(hour, coupling, regions, field, base) if held is None else held
        found = self._inputs(
            hour,
            coupling,
            regions,
            field,
            base,
            (self.cut_excitatory[:, hour], self.cut_interneuron[:, hour]),
            (self.drift_excitatory[:, hour], self.drift_interneuron[:, hour]),
            self._efficacy(regions),
        )
        return found._replace(inhibition=found.inhibition * np.nan_to_num(factor, nan=1.0)[:, None])

    def held(
        self, hour: int, coupling: Array, regions: Regions, field: MeanField | None = None, base: Array | float = 1.0
    ) -> Array:
        """Return the factor on inhibition that holds the mean rate of the cortex at its set point without drug.

        Arguments as for `resting`.

        Returns
        -------
        ndarray, shape (person,)
            1 without efficacies; not a number where no factor holds it.
        """
        model = MeanField.build() if field is None else field
        rows = np.flatnonzero(regions.cortical)
        start, efficacy = self.resting(hour, coupling, regions, model, base), self._efficacy(regions)
        found: dict[bytes, float] = {}
        factors = np.ones(self.size)
        for person in range(self.size):
            if (efficacy[person] == 1.0).all():
                continue
            own = one_of(start, person)
            acting = own._replace(efficacy=efficacy[person])
            key = b"".join(np.asarray(value, dtype=float).tobytes() for value in acting)
            if key not in found:
                try:
                    found[key] = held_rate(rest(model, coupling, own), acting, rows)[1]
                except FixedPointError:
                    found[key] = float("nan")
            factors[person] = found[key]
        return factors

    def _efficacy(self, regions: Regions) -> Array:
        efficacy = np.ones((self.size, len(regions)))
        for name, values in ((DEFAULT, self.default), (SUBGENUAL, self.subgenual)):
            if name in regions.sets:
                # the subgenual set is a part of the default network: its own efficacy comes on top
                efficacy[:, regions.members(name)] *= values[:, None]
        return efficacy

    def _inputs(
        self,
        hour: int,
        coupling: Array,
        regions: Regions,
        field: MeanField | None,
        base: Array | float,
        cuts: tuple[Array, Array],
        drift: tuple[Array, Array],
        efficacy: Array,
    ) -> RegionalInputs:
        model = MeanField.build() if field is None else field
        spread = np.ones((self.size, len(regions)))
        slow = RegionalInputs(
            inhibition=0.0 * spread,
            strength=self.strength[:, hour, None] * base * spread,
            glutamate_uptake=self.uptake[:, hour, None] * spread,
        )

        def cut(by: tuple[Array, Array]) -> RegionalInputs:
            excitatory, interneuron = (1.0 - share[:, None] * spread for share in by)
            return slow._replace(recurrent=excitatory, long_range=excitatory, onto_interneurons=interneuron)

        inhibition = np.asarray(model.balanced_inhibition(coupling, cut(drift)))
        return cut(cuts)._replace(inhibition=inhibition, efficacy=efficacy * spread)


def one_of(inputs: RegionalInputs, person: int) -> RegionalInputs:
    """Return the inputs of one person, shape (R,) each, of those of several."""
    return RegionalInputs(*(value[person] if np.ndim(value) == 2 else value for value in inputs))


def block_hours(doses_h: Sequence[float], hours: Sequence[float], horizon_h: float) -> list[float]:
    """Return the hours at which the chain must be read for the states at `hours`: these, and the course of block."""
    nodes = {0.0, *hours}
    last = max(hours)
    for dose in doses_h:
        nodes.update(round(dose + after, 6) for after in AFTER_DOSE_H)
    return sorted(hour for hour in nodes if hour <= min(last, horizon_h))


def cortical_states(
    results: xr.Dataset,
    people: People,
    hours: Sequence[float],
    *,
    depressed: bool = True,
    benzodiazepine_h: Sequence[tuple[float, float]] = (),
) -> CorticalStates:
    """Return the states of the cortex from results of the chain.

    Parameters
    ----------
    results : xarray.Dataset
        Of `kapsim.simulation.simulate_people`, kept at `block_hours`.
    people : People
        Whom they are of.
    hours : sequence of float
        Hours from the start, within the results.
    depressed : bool
        False for healthy people, whose efficacies are 1.
    benzodiazepine_h : sequence of (float, float)
        From and until when a benzodiazepine is taken, which makes up for a share of the block of interneurons.

    Returns
    -------
    CorticalStates

    Raises
    ------
    InputError
        If the results are of other people, or end before an hour.
    """
    time = results["time"].values
    if results.sizes["patient"] != people.size:
        raise InputError(f"results of {results.sizes['patient']} people do not fit {people.size}; give theirs")
    if not len(hours) or min(hours) < 0.0 or max(hours) > time[-1] + 1e-6:
        raise InputError(f"hours must lie between 0 and {time[-1]:g} h, the end of the results")
    at = np.asarray(hours, dtype=float)

    def course(name: str) -> Array:
        return np.asarray(results[name].values, dtype=float)

    def read(values: Array) -> Array:
        return np.stack([np.interp(at, time, row) for row in values])

    share = {name: people.values[f"network.block.{name}"][:, None] for name in ("f_e", "f_i")}
    taken = np.zeros(len(time), dtype=bool)
    for start, end in benzodiazepine_h:
        taken |= (time >= start) & (time <= end)
    spared = 1.0 - people.values["network.benzodiazepine"][:, None] * taken
    cuts = (share["f_e"] * course("nmda_block"), share["f_i"] * spared * course("nmda_block_interneuron"))
    tau = people.values["network.tau_inhibition"]
    grown = course("spine_density") * (1.0 + course("potentiation"))
    strength = 1.0 + people.values["network.strength_share"][:, None] * (grown - 1.0)
    uptake = np.asarray(Glutamate.build(_columns(people.values)).uptake(course("microglia")))
    one = np.ones(people.size)
    return CorticalStates(
        hours=at,
        cut_excitatory=read(cuts[0]),
        cut_interneuron=read(cuts[1]),
        drift_excitatory=followed(time, cuts[0], tau, at),
        drift_interneuron=followed(time, cuts[1], tau, at),
        strength=read(strength),
        uptake=read(uptake),
        subgenual=np.asarray(people.traits.subgenual, dtype=float) * one,
        default=people.values["brain.depression.default_efficacy"] if depressed else one,
    )


def _columns(values: Mapping[str, Array]) -> dict[str, Array]:
    """Return the parameters of each person as columns, to go with courses of shape (person, time)."""
    return {name: value[:, None] for name, value in values.items() if name.startswith("glutamate.")}


def followed(time: Array, course: Array, tau: Array, at: Array) -> Array:
    """Return what follows a course with a time constant: the solution of y' = (x − y)/τ, y = 0 before the first time.

    Exact where the course is linear between its times.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Rising, h.
    course : ndarray, shape (person, time)
        x.
    tau : ndarray, shape (person,)
        h.
    at : ndarray, shape (hour,)
        Where it is wanted, within `time`.

    Returns
    -------
    ndarray, shape (person, hour)
    """
    nodes = np.union1d(time, at)
    values = np.stack([np.interp(nodes, time, row) for row in course])
    found = np.zeros_like(values)
    for index, step in enumerate(np.diff(nodes)):
        before, slope = values[:, index], (values[:, index + 1] - values[:, index]) / step
        fading = np.exp(-step / tau)
        # y(h) = x1 − τ s + (y0 − x0 + τ s) e^(−h/τ) for x = x0 + s h
        lag = tau * slope
        found[:, index + 1] = values[:, index + 1] - lag + (found[:, index] - before + lag) * fading
    return np.asarray(found[:, np.searchsorted(nodes, at)])
