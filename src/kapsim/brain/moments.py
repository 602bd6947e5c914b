"""Moments of the mean field about a fixed point, without simulation: covariance of gating, spectra, BOLD connectivity.

Noise is small, so the network is linear around its fixed point: dx = A x dt + σ dW with the Jacobian A. The covariance
of gating solves A P + P Aᵀ + σ² I = 0. What a scanner sees is that network through blood flow, which is linear too when
changes are small: the cross-spectrum of gating times the squared gain of the haemodynamics, integrated over frequency
(or over the band that a filter leaves). Inhibitory gating is eliminated at each frequency, which leaves complex systems
of the size of the number of regions.

Right for sweeps, fits, people and slow change. Wrong for leaving the low branch and for connectivity dynamics; noise as
strong as the source's also shifts the mean, which linear theory does not see. All of it runs on NumPy and, for
gradients and batches, on JAX.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.fixed_point import FixedPoint, Slopes, array_library, arriving, jacobian, slopes
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.mean_field import MS_PER_S, Gating, MeanField, RegionalInputs
from kapsim.errors import InputError
from kapsim.mechanisms.operators import Value

Array = NDArray[np.float64]

#: Frequency (Hz) below which half of the nodes of an unfiltered quadrature stand; blood flow passes little above it.
MIDDLE_HZ = 0.08
#: Nodes of the quadrature over frequency; the tests hold it against an exact solution.
NODES = 24
#: The band of resting-state papers, Hz.
RESTING_BAND = (0.01, 0.1)
#: Order of the band-pass that `haemodynamics.band_pass` runs both ways, and how far beyond its edges (a factor) power
#: is looked for.
FILTER_ORDER = 2
SKIRT = 6.0
#: Doublings of `lyapunov`: each doubles the time over which the covariance is summed.
DOUBLINGS = 24


class Frequencies(NamedTuple):
    """A quadrature over frequency, shape (F,) each: nodes (Hz), and weights (Hz) with the filter's squared gain."""

    nodes: Array
    weights: Array


@functools.cache
def quadrature(band: tuple[float, float] | None = None, nodes: int = NODES, *, filtered: bool = True) -> Frequencies:
    """Return Gauss-Legendre nodes over all frequencies, or over a band.

    Parameters
    ----------
    band : tuple of float, optional
        Edges in Hz of the Butterworth band-pass that studies run both ways; no filter if left out.
    nodes : int
        Number of frequencies. They stand where the spectrum is: half of them below `MIDDLE_HZ`, or evenly on a
        logarithmic scale around the band.
    filtered : bool
        Whether the weights hold the filter's squared gain.

    Raises
    ------
    InputError
        If the band is not of the form 0 < low < high.
    """
    at, weight = np.polynomial.legendre.leggauss(nodes)
    share, weight = 0.5 * (1.0 + at), 0.5 * weight
    if band is None:
        # f = middle tan(θ) reaches from 0 to infinity, and makes Lorentzian spectra smooth
        angle = 0.5 * np.pi * share
        return Frequencies(MIDDLE_HZ * np.tan(angle), MIDDLE_HZ * 0.5 * np.pi * weight / np.cos(angle) ** 2)
    low, high = band
    if not 0.0 < low < high:
        raise InputError(f"no band from {low:g} to {high:g} Hz; give its edges in rising order, both above 0")
    span = np.log(high / low * SKIRT**2)
    frequency = low / SKIRT * np.exp(span * share)
    off = (frequency**2 - low * high) / ((high - low) * frequency)
    # run both ways, the filter has the square of its squared gain
    gain = 1.0 / (1.0 + off ** (2 * FILTER_ORDER)) ** 2 if filtered else 1.0
    return Frequencies(frequency, span * frequency * weight * gain)


def transfer(balloon: Balloon, drive: Value, frequencies: Array) -> Value:
    """Transfer function of blood flow: BOLD per unit of drive, for small changes about a constant drive.

    Parameters
    ----------
    balloon : Balloon
    drive : array, shape (R,)
        The constant drive (S_E), which sets the vessels' state and so, a little, the gain.
    frequencies : ndarray, shape (F,)
        Hz.

    Returns
    -------
    array of complex, shape (F, R)
    """
    xp = array_library(drive)
    vessels = balloon.steady(drive)
    s = 2j * np.pi * xp.asarray(frequencies)[:, None]
    flow = 1.0 / (s * s + balloon.decay * s + balloon.elimination)
    volume, content = vessels.volume, vessels.deoxyhaemoglobin
    leaving = volume ** (1.0 / balloon.stiffness - 1.0)  # outflow per volume
    swelling = flow / (balloon.transit * s + leaving / balloon.stiffness)
    kept = (1.0 - balloon.extraction) ** (1.0 / vessels.flow)
    entering = (1.0 - kept + kept * np.log(1.0 - balloon.extraction) / vessels.flow) / balloon.extraction
    washing = (1.0 / balloon.stiffness - 1.0) * leaving * content / volume
    loading = (entering * flow - washing * swelling) / (balloon.transit * s + leaving)
    k1, k2, k3 = balloon.coefficients()
    ratio = loading / volume - content / volume**2 * swelling
    return -balloon.blood * (k1 * loading + k2 * ratio + k3 * swelling)


def cross_spectrum(at: Slopes, coupling: Value, noise: Value, frequencies: Array) -> Value:
    """Cross-spectral density of excitatory gating.

    Parameters
    ----------
    at : Slopes
        At a stable fixed point.
    coupling : array, shape (R, R)
        Long-range weights G C.
    noise : float or array, shape (R,)
        Standard deviation of the noise on gating after one ms.
    frequencies : ndarray, shape (F,)
        Hz.

    Returns
    -------
    array of complex, shape (F, R, R)
        Two-sided density in ms: its integral over angular frequency (rad/ms), divided by 2π, is the covariance.
    """
    xp = array_library(at.excitatory)
    angular = 2j * np.pi * xp.asarray(frequencies)[:, None] / MS_PER_S
    through = at.inhibited / (angular - at.inhibitory)  # from inhibitory noise to the excitatory pool
    diagonal = angular - at.excitatory - through * at.driven
    system = diagonal[:, :, None] * np.eye(coupling.shape[-1]) - at.arriving[:, None] * coupling
    response = xp.linalg.inv(system)
    power = noise**2 * (1.0 + xp.abs(through) ** 2)
    return (response * power[:, None, :]) @ xp.conj(xp.swapaxes(response, -1, -2))


def bold_covariance(
    at: Slopes,
    coupling: Value,
    noise: Value,
    blood: Value,
    over: Frequencies,
) -> Value:
    """Covariance of BOLD at zero lag, shape (R, R), in the unit of the BOLD signal squared.

    Parameters
    ----------
    at : Slopes
        At a stable fixed point.
    coupling : array, shape (R, R)
    noise : float or array, shape (R,)
        As in `cross_spectrum`.
    blood : array of complex, shape (F, R)
        From `transfer`, at the nodes of `over`.
    over : Frequencies
        From `quadrature`.
    """
    xp = array_library(at.excitatory)
    density = cross_spectrum(at, coupling, noise, over.nodes)
    seen = xp.real(blood[:, :, None] * density * xp.conj(blood)[:, None, :])
    # twice the positive half, over 2π, with dω = 2π df / 1000
    found = xp.tensordot(xp.asarray(2.0 * over.weights / MS_PER_S), seen, axes=1)
    return 0.5 * (found + found.T)


def correlation(covariance: Value) -> Value:
    """Return the correlations of a covariance, shape (R, R), with a diagonal of exactly 1."""
    xp = array_library(covariance)
    deviation = xp.sqrt(xp.diagonal(covariance))
    found = covariance / (deviation[:, None] * deviation)
    identity = np.eye(covariance.shape[-1])
    return found * (1.0 - identity) + identity


def without_global_signal(covariance: Value) -> Value:
    """Return the covariance after regression of the mean over regions on each region, shape (R, R).

    With g = mean of all regions, each region's signal loses cov(x, g)/var(g) times g: P − c cᵀ / (1ᵀ c / R) with c the
    covariance of each region with g.
    """
    with_mean = covariance.mean(axis=-1)
    return covariance - with_mean[:, None] * with_mean / with_mean.mean()


def lyapunov(matrix: Value, source: Value) -> Value:
    """Solve A P + P Aᵀ + Q = 0 for a stable A by doubling.

    The Cayley transform turns the equation into P = B P Bᵀ + C, whose solution is the sum of Bᵏ C Bᵏᵀ; squaring B
    doubles the number of terms. Plain products, so that JAX differentiates them and runs them on any device.

    Parameters
    ----------
    matrix : array, shape (N, N)
        A, whose eigenvalues all have a negative real part.
    source : array, shape (N, N)
        Q, symmetric.

    Returns
    -------
    array, shape (N, N)
    """
    xp = array_library(matrix)
    identity = np.eye(matrix.shape[-1])
    # between the fastest and the slowest rate, both of which the transform turns into eigenvalues near 1
    shift = xp.sqrt(xp.abs(xp.diagonal(matrix)).max() * 1e-3)
    inverse = xp.linalg.inv(shift * identity - matrix)
    step = inverse @ (shift * identity + matrix)
    total = 2.0 * shift * inverse @ source @ inverse.T
    for _ in range(DOUBLINGS):
        total = total + step @ total @ step.T
        step = step @ step
    return 0.5 * (total + total.T)


def gating_covariance(point: FixedPoint) -> Array:
    """Covariance of gating of both pools at zero lag, excitatory first, shape (2R, 2R)."""
    found = point.jacobian()
    return np.asarray(lyapunov(found, float(point.model.noise) ** 2 * np.eye(len(found))))


def bold_connectivity(
    point: FixedPoint,
    balloon: Balloon | None = None,
    *,
    band: tuple[float, float] | None = RESTING_BAND,
    global_signal: bool = True,
) -> Array:
    """Return the functional connectivity that long BOLD recordings would have.

    Parameters
    ----------
    point : FixedPoint
        From `rest` or `follow`, which refuse what is not stable.
    balloon : Balloon, optional
        The published one if left out.
    band : tuple of float or None
        Pass band in Hz; None for unfiltered BOLD.
    global_signal : bool
        False removes the mean over all regions by regression.

    Returns
    -------
    ndarray, shape (R, R)
        Pearson correlations, diagonal 1.
    """
    vessels = Balloon.build() if balloon is None else balloon
    covariance = seen_covariance(point.model, point.coupling, point.gating, point.inputs, vessels, band)
    return np.asarray(correlation(covariance if global_signal else without_global_signal(covariance)))


def seen_covariance(
    model: MeanField,
    coupling: Value,
    gating: Gating,
    inputs: RegionalInputs,
    balloon: Balloon,
    band: tuple[float, float] | None = RESTING_BAND,
) -> Value:
    """Covariance of BOLD at zero lag as a function of all that it depends on, for gradients; shape (R, R).

    Parameters
    ----------
    model : MeanField
    coupling : array, shape (R, R)
    gating : Gating
        A stable fixed point at these values; for gradients from `moved_gating`.
    inputs : RegionalInputs
    balloon : Balloon
    band : tuple of float or None
        Pass band in Hz.
    """
    at, over = slopes(model, coupling, gating, inputs), quadrature(band)
    return bold_covariance(at, coupling, model.noise, transfer(balloon, gating.excitatory, over.nodes), over)


def moved_gating(model: MeanField, coupling: Value, point: FixedPoint, inputs: RegionalInputs) -> Gating:
    """Return the fixed point as a differentiable function of coupling and inputs, near one that is known.

    One step of Newton's method from the known point: at it, the step is 0 and its derivative that of the implicit
    function, so first derivatives are exact there.

    Parameters
    ----------
    model : MeanField
    coupling : jax array, shape (R, R)
    point : FixedPoint
        Solved at the same values.
    inputs : RegionalInputs
        Of jax arrays.
    """
    from kapsim.engine.runtime import jax_numpy

    xp = jax_numpy().numpy
    known = Gating(*map(xp.asarray, point.gating))
    regions = len(point.coupling)
    off = model.rates(known, arriving(coupling, known), inputs)
    change = np.linalg.inv(jacobian(point.model, point.coupling, point.gating, point.inputs))
    step = -xp.asarray(change) @ xp.concatenate([off.excitatory, off.inhibitory])
    return Gating(known.excitatory + step[:regions], known.inhibitory + step[regions:])
