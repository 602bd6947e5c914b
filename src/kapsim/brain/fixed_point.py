"""Fixed points of the mean field: where they are, whether they hold, and whether rest leads to them.

With feedback inhibition the resting state is known in closed form. Whatever is done to it afterwards (block, a task, a
slow change) leaves inhibition as it was, and the fixed point is followed there from rest in small steps. It is refused
where it stops: past a fold the network leaves for a branch with rates of ten Hz and more, and nothing computed about
the low branch means anything there. Where regions differ, some can also glide up without a fold. What tells the
branches apart is then the steady gating of a region as a function of its input: it steepens with the transfer function,
then flattens as channels saturate. Low states lie below its steepest point (7.2 Hz with the published constants), high
ones above (`steepest_gating`), and a point with a region above is refused too.

Stability needs no eigenvalues of the full Jacobian. Its four blocks are the symmetric excitatory one, M after scaling,
and three diagonal ones: −K and K between the pools, D within the inhibitory one. Every oscillatory loss of stability
needs K ≥ |D| in some region; where K < |D| everywhere (0.2 at rest), an eigenvalue can only cross at 0, and the point
is stable exactly if M + K D⁻¹ K is negative definite. Its largest eigenvalue, sign reversed, is the `margin`: it falls
to 0 at a fold.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.mean_field import MS_PER_S, Firing, Gating, MeanField, RegionalInputs
from kapsim.errors import FixedPointError
from kapsim.mechanisms.operators import Value

Array = NDArray[np.float64]

#: Newton's method stops where no gating changes by more.
CONVERGED = 1e-13
MOST_NEWTON_STEPS = 12
#: Along the way no gating may move further in one step: half a healthy resting value would already be another state.
LARGEST_MOVE = 0.02
SMALLEST_STEP = 1e-5


#: Input over threshold (nA) between which the steepest point is looked for, and the halvings that find it.
STEEPEST_BETWEEN = (-0.1, 0.3)
HALVINGS = 60


class Slopes(NamedTuple):
    """Derivatives of the change of gating (per ms), shape (..., region) each; all else in the Jacobian is 0.

    The excitatory pool's by its own gating, by arriving gating and by inhibitory gating; the inhibitory pool's by
    excitatory gating and by its own.
    """

    excitatory: Value
    arriving: Value
    inhibited: Value
    driven: Value
    inhibitory: Value


@dataclass(frozen=True)
class FixedPoint:
    """A stable fixed point of the low branch.

    Attributes
    ----------
    model : MeanField
    coupling : ndarray, shape (R, R)
        Long-range weights G C, symmetric.
    inputs : RegionalInputs
    gating : Gating
    margin : float
        Distance from the fold, per ms: 0 there.
    """

    model: MeanField
    coupling: Array
    inputs: RegionalInputs
    gating: Gating
    margin: float

    @property
    def firing(self) -> Firing:
        """Rates of both pools, Hz."""
        return self.model.firing(self.gating, arriving(self.coupling, self.gating), self.inputs)

    def jacobian(self) -> Array:
        """Return the Jacobian (per ms), excitatory gating first, shape (2R, 2R)."""
        return np.asarray(jacobian(self.model, self.coupling, self.gating, self.inputs))

    def eigenvalues(self) -> NDArray[np.complex128]:
        """Return the eigenvalues of the Jacobian (per ms), the slowest first."""
        found = np.linalg.eigvals(self.jacobian())
        return np.asarray(found[np.argsort(-found.real)], dtype=complex)


def arriving(coupling: Value, gating: Gating) -> Value:
    """Gating that arrives by long-range connections, shape (..., region)."""
    return (coupling @ gating.excitatory[..., None])[..., 0]


def slopes(model: MeanField, coupling: Value, gating: Gating, inputs: RegionalInputs) -> Slopes:
    """Return the derivatives of `MeanField.rates` at a state; whichever array library the values belong to."""
    comes = arriving(coupling, gating)
    current = model.current_e(gating, comes, inputs)
    opening = model.gamma / inputs.glutamate_uptake / MS_PER_S
    by_current = (1.0 - gating.excitatory) * opening * model.slope_e(current)
    recurrence = model.w_plus * inputs.strength * inputs.efficacy * inputs.recurrent * model.j_nmda
    interneuron = model.slope_i(model.current_i(gating, inputs)) / MS_PER_S
    return Slopes(
        excitatory=-1.0 / model.tau_e - opening * model.rate_e(current) + by_current * recurrence,
        arriving=by_current * inputs.long_range * model.j_nmda,
        inhibited=-by_current * inputs.inhibition,
        driven=interneuron * inputs.onto_interneurons * model.j_nmda,
        inhibitory=-1.0 / model.tau_i - interneuron,
    )


def jacobian(model: MeanField, coupling: Value, gating: Gating, inputs: RegionalInputs) -> Value:
    """Return the Jacobian of `MeanField.rates` (per ms), excitatory gating first, shape (2R, 2R)."""
    at = slopes(model, coupling, gating, inputs)
    identity = np.eye(coupling.shape[-1])
    library = array_library(at.excitatory)
    return library.block(
        [
            [at.excitatory[:, None] * identity + at.arriving[:, None] * coupling, at.inhibited[:, None] * identity],
            [at.driven[:, None] * identity, at.inhibitory[:, None] * identity],
        ]
    )


def margin(at: Slopes, coupling: Array) -> float:
    """Return the distance of a fixed point from losing stability, per ms; below 0 it has lost it.

    Raises
    ------
    FixedPointError
        If the pools are so strongly coupled (K ≥ |D|) that it could also be lost by an oscillation, and is.
    """
    inhibition = at.inhibited * at.driven / at.inhibitory  # K²/|D|, above 0
    scale = np.sqrt(at.arriving)
    reduced = scale[:, None] * coupling * scale
    reduced[np.diag_indices_from(reduced)] += at.excitatory - inhibition
    distance = -float(np.linalg.eigvalsh(reduced)[-1])
    if (np.sqrt(-at.inhibited * at.driven) >= -at.inhibitory).any() and distance > 0.0:
        identity = np.eye(len(coupling))
        full = np.block(
            [
                [at.excitatory[:, None] * identity + at.arriving[:, None] * coupling, at.inhibited[:, None] * identity],
                [at.driven[:, None] * identity, at.inhibitory[:, None] * identity],
            ]
        )
        slowest = float(np.linalg.eigvals(full).real.max())
        return min(distance, -slowest)
    return distance


def steepest_gating(model: MeanField, inputs: RegionalInputs) -> Value:
    """Excitatory gating at which a region's steady gating rises most with its input: low states below, high above.

    With S = a r / (1 + a r), dS/dI = a r' / (1 + a r)², which is largest where r'' (1 + a r) = 2 a r'².

    Parameters
    ----------
    model : MeanField
    inputs : RegionalInputs
        Of which `glutamate_uptake` matters.

    Returns
    -------
    array, shape of `glutamate_uptake`
    """
    uptake = np.asarray(inputs.glutamate_uptake, dtype=float)
    levels, place = np.unique(uptake, return_inverse=True)
    return _steepest(model, tuple(levels.tolist()))[place].reshape(uptake.shape)


@functools.lru_cache(maxsize=256)
def _steepest(model: MeanField, uptake: tuple[float, ...]) -> Array:
    """Return the gating at each level of uptake; whoever is followed along a dose asks for the same again and again."""
    opened = model.gamma / np.asarray(uptake) * model.tau_e / MS_PER_S
    low, high = (np.full(opened.shape, model.threshold_e + edge) for edge in STEEPEST_BETWEEN)
    tiny = 1e-6
    for _ in range(HALVINGS):
        at = 0.5 * (low + high)
        slope = model.slope_e(at)
        curvature = (model.slope_e(at + tiny) - model.slope_e(at - tiny)) / (2.0 * tiny)
        rising = curvature * (1.0 + opened * model.rate_e(at)) > 2.0 * opened * slope * slope
        low, high = np.where(rising, at, low), np.where(rising, high, at)
    drive = opened * model.rate_e(0.5 * (low + high))
    return np.asarray(drive / (1.0 + drive))


def rest(
    model: MeanField, coupling: Array, inputs: RegionalInputs | None = None, target: Array | float | None = None
) -> FixedPoint:
    """Return the resting state, with the inhibition that holds every region at its target.

    Parameters
    ----------
    model : MeanField
    coupling : ndarray, shape (R, R)
        Long-range weights G C, symmetric.
    inputs : RegionalInputs, optional
        What acts on the regions; `inhibition` is not used but set. Nothing if left out.
    target : float or ndarray, optional
        As for `MeanField.balanced_gating`.

    Returns
    -------
    FixedPoint
        Its `inputs` hold the inhibition.

    Raises
    ------
    FixedPointError
        If that state is not stable: coupling is too strong.
    """
    regions = len(coupling)
    given = _spread(RegionalInputs(0.0) if inputs is None else inputs, regions)
    goal = None if target is None else np.broadcast_to(np.asarray(target, dtype=float), (regions,))
    inhibition = model.balanced_inhibition(coupling, given, goal)
    gating = Gating(*(np.broadcast_to(value, (regions,)).copy() for value in model.balanced_gating(given, goal)))
    given = given._replace(inhibition=np.asarray(inhibition))
    if (gating.excitatory > steepest_gating(model, given)).any():
        raise FixedPointError("the target rate lies on the high branch; lower the target")
    distance = margin(slopes(model, coupling, gating, given), coupling)
    if not distance > 0.0:
        raise FixedPointError(
            f"the resting state is not stable (margin {distance:.2g} per ms): the network leaves it for its high "
            "branch; lower the coupling"
        )
    return FixedPoint(model, coupling, given, gating, distance)


def follow(point: FixedPoint, inputs: RegionalInputs) -> FixedPoint:
    """Follow a fixed point while its inputs change, along a straight line, to other ones.

    Parameters
    ----------
    point : FixedPoint
        Where to begin, as from `rest`.
    inputs : RegionalInputs
        Where to go; `inhibition` usually is that of `point`.

    Returns
    -------
    FixedPoint

    Raises
    ------
    FixedPointError
        If the point ceases to exist or to be stable on the way, or a region reaches its high branch; the message says
        how far it led.
    """
    model, coupling = point.model, point.coupling
    start, end = (_spread(given, len(coupling)) for given in (point.inputs, inputs))

    def between(share: float) -> RegionalInputs:
        return RegionalInputs(*((1.0 - share) * a + share * b for a, b in zip(start, end, strict=True)))

    here, done, step = point, 0.0, 1.0
    while done < 1.0:
        share = min(1.0, done + step)
        found = _corrected(model, coupling, here.gating, between(share))
        if found is not None and _largest(found, here.gating) <= LARGEST_MOVE:
            distance = margin(slopes(model, coupling, found, between(share)), coupling)
            low = (found.excitatory <= steepest_gating(model, between(share))).all()
            if distance > 0.0 and low:
                here, done = FixedPoint(model, coupling, between(share), found, distance), share
                step *= 2.0
                continue
        step *= 0.5
        if step < SMALLEST_STEP:
            rates = here.firing.excitatory
            raise FixedPointError(
                f"the low branch ends {100.0 * done:.3g} % of the way to these inputs "
                f"(region {int(rates.argmax()) + 1} at {rates.max():.3g} Hz, margin {here.margin:.2g} per ms): past it "
                "the network leaves for its high branch; lower the coupling or the change"
            )
    return here


def _corrected(model: MeanField, coupling: Array, guess: Gating, inputs: RegionalInputs) -> Gating | None:
    """Return the fixed point that Newton's method finds from a guess, None where it finds none."""
    state = guess
    for _ in range(MOST_NEWTON_STEPS):
        at = slopes(model, coupling, state, inputs)
        off = model.rates(state, arriving(coupling, state), inputs)
        # inhibitory gating is eliminated: its block is diagonal
        reduced = at.arriving[:, None] * coupling
        reduced[np.diag_indices_from(reduced)] += at.excitatory - at.inhibited * at.driven / at.inhibitory
        try:
            change = np.linalg.solve(reduced, -off.excitatory + at.inhibited * off.inhibitory / at.inhibitory)
        except np.linalg.LinAlgError:
            return None
        other = -(off.inhibitory + at.driven * change) / at.inhibitory
        state = Gating(state.excitatory + change, state.inhibitory + other)
        if not (np.isfinite(change).all() and (np.abs(state.excitatory - 0.5) <= 0.5).all()):
            return None
        if max(np.abs(change).max(), np.abs(other).max()) < CONVERGED:
            return state
    return None


def _largest(one: Gating, other: Gating) -> float:
    return float(max(np.abs(a - b).max() for a, b in zip(one, other, strict=True)))


def _spread(inputs: RegionalInputs, regions: int) -> RegionalInputs:
    """Return inputs with a number for every region."""
    return RegionalInputs(*(np.broadcast_to(np.asarray(value, dtype=float), (regions,)).copy() for value in inputs))


def array_library(value: Value) -> Any:
    """Return the array library of a value, NumPy or `jax.numpy`."""
    if isinstance(value, np.ndarray):
        return np
    from kapsim.engine.runtime import jax_numpy

    return jax_numpy().numpy
