"""Measures: what papers report of a cortex, from its rates or its functional connectivity.

Connectivity is Pearson correlation of BOLD, turned into Fisher's z and averaged over pairs, as papers do. Global brain
connectivity of a region is its mean z with all others; that of the brain the mean over regions. Activity is the mean
excitatory rate of a set, against rest before the drug or against the mean of the cortex. Task deactivation is the
change of a set while a current drives other regions.

A difference without noise is always "significant". `simulated_scans` draws what scans of a given length would show, and
`compare` says what a study of a given size would see. Only sampling error is in it unless a spread between persons is
given: an effect size from here is then the largest that a study could have found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.fixed_point import FixedPoint, follow, slopes
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.moments import RESTING_BAND, cross_spectrum, quadrature, transfer
from kapsim.brain.regions import Regions
from kapsim.errors import InputError

Array = NDArray[np.float64]

#: Correlations are held this far from 1, where Fisher's z is infinite.
NEAREST_TO_ONE = 1e-12


@dataclass(frozen=True)
class Link:
    """A measure of connectivity: mean Fisher's z over pairs of two sets, or within one.

    Attributes
    ----------
    title : str
    one, other : str
        Names of sets; the same for pairs within a set. An empty name stands for all regions.
    """

    title: str
    one: str
    other: str


CONNECTIVITY: Mapping[str, Link] = {
    "dmn_within": Link("within the default mode network", "default", "default"),
    "pcc_mpfc": Link("posterior cingulate to medial prefrontal", "pcc", "mpfc"),
    "pcc_dmpfc": Link("posterior cingulate to dorsomedial prefrontal", "pcc", "dmpfc"),
    "pcc_subgenual": Link("posterior to subgenual cingulate", "pcc", "subgenual"),
    "subgenual_dmn": Link("subgenual cingulate to the default mode network", "subgenual", "default"),
    "dmn_attention": Link("default mode to dorsal attention network", "default", "attention"),
    "global": Link("global brain connectivity", "", ""),
}
"""Measures of connectivity by name; one whose sets a parcellation lacks is left out there."""


class Effect(NamedTuple):
    """What a study would see.

    Attributes
    ----------
    difference : float
        Mean of the second state minus the first, in the unit of the measure.
    size : float
        Cohen's d: over the pooled standard deviation, or, within persons, over that of the differences.
    power : float
        Chance that a two-sided test at 5 % finds it.
    """

    difference: float
    size: float
    power: float


def fisher_z(correlation: Array) -> Array:
    """Return Fisher's z of correlations."""
    limit = 1.0 - NEAREST_TO_ONE
    return np.asarray(np.arctanh(np.clip(correlation, -limit, limit)))


def mean_link(connectivity: Array, one: NDArray[np.intp], other: NDArray[np.intp]) -> Array:
    """Return the mean Fisher's z over the pairs of two sets, each pair once and no region with itself.

    Parameters
    ----------
    connectivity : ndarray, shape (..., R, R)
    one, other : ndarray of int

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    InputError
        If there is no pair.
    """
    pairs = {(min(a, b), max(a, b)) for a in one.tolist() for b in other.tolist() if a != b}
    if not pairs:
        raise InputError("a mean over pairs of regions needs two different regions")
    rows, columns = np.array(sorted(pairs)).T
    return np.asarray(fisher_z(connectivity[..., rows, columns]).mean(axis=-1))


def global_connectivity(connectivity: Array) -> Array:
    """Return each region's mean Fisher's z with all others, shape (..., R)."""
    count = connectivity.shape[-1]
    z = fisher_z(connectivity) * (1.0 - np.eye(count))
    return np.asarray(z.sum(axis=-1) / (count - 1))


def connectivity_measure(connectivity: Array, regions: Regions, name: str) -> Array:
    """Return one of the measures of `CONNECTIVITY` in Fisher's z, shape (...) for connectivity (..., R, R).

    Raises
    ------
    InputError
        If there is no such measure, or the parcellation lacks one of its sets.
    """
    if name not in CONNECTIVITY:
        raise InputError(f"no measure of connectivity {name!r}: it is one of {', '.join(CONNECTIVITY)}")
    link = CONNECTIVITY[name]
    everything = np.arange(len(regions))
    one, other = (regions.members(part) if part else everything for part in (link.one, link.other))
    return mean_link(connectivity, one, other)


def connectivity_measures(connectivity: Array, regions: Regions) -> dict[str, Array]:
    """Return every measure of `CONNECTIVITY` that the parcellation has the sets for, in Fisher's z."""
    known = {"", *regions.sets}
    return {
        name: connectivity_measure(connectivity, regions, name)
        for name, link in CONNECTIVITY.items()
        if {link.one, link.other} <= known
    }


def relative_activity(rates: Array, regions: Regions, name: str = "default") -> Array:
    """Return the mean rate of a set over that of the cortex, shape (...) for rates (..., R) in Hz."""
    return np.asarray(
        rates[..., regions.members(name)].mean(axis=-1) / rates[..., np.flatnonzero(regions.cortical)].mean(axis=-1)
    )


def activity_change(before: Array, after: Array, regions: Regions, name: str = "default") -> dict[str, Array]:
    """Return how the rate of a set changed: against rest, and beyond the change of the cortex.

    Parameters
    ----------
    before, after : ndarray, shape (..., R)
        Excitatory rates in Hz.
    regions : Regions
    name : str
        A set of regions.

    Returns
    -------
    dict of str to ndarray
        ``set`` and ``cortex``, relative changes of the mean rates; ``beyond_cortex``, relative change of their ratio.
    """
    members, cortex = regions.members(name), np.flatnonzero(regions.cortical)
    ratio = relative_activity(after, regions, name) / relative_activity(before, regions, name)
    return {
        "set": np.asarray(after[..., members].mean(axis=-1) / before[..., members].mean(axis=-1) - 1.0),
        "cortex": np.asarray(after[..., cortex].mean(axis=-1) / before[..., cortex].mean(axis=-1) - 1.0),
        "beyond_cortex": np.asarray(ratio - 1.0),
    }


def task_response(
    point: FixedPoint,
    regions: Regions,
    current: float,
    *,
    driven: str = "attention",
    seen: str = "default",
    balloon: Balloon | None = None,
) -> dict[str, float]:
    """Return what a set does while a task drives another.

    Parameters
    ----------
    point : FixedPoint
        The state before the task.
    regions : Regions
    current : float
        Input onto the excitatory pools of the driven regions, nA, in addition to what there is.
    driven, seen : str
        Sets of regions.
    balloon : Balloon, optional

    Returns
    -------
    dict of str to float
        Changes of the mean, task minus rest: ``driven_rate`` and ``seen_rate`` in Hz; ``driven_bold`` and ``seen_bold``
        of steady BOLD, relative to resting signal. A deactivation is below 0. Long-range connections of the mean field
        are excitatory: what deactivates a set has to come out of inhibition, and may not.

    Raises
    ------
    FixedPointError
        If the task takes a region to its high branch.
    """
    vessels = Balloon.build() if balloon is None else balloon
    task = np.zeros(len(regions))
    task[regions.members(driven)] = current
    during = follow(point, point.inputs._replace(current=point.inputs.current + task))

    def bold(at: FixedPoint) -> Array:
        return np.asarray(vessels.bold(vessels.steady(at.gating.excitatory)))

    rate, signal = during.firing.excitatory - point.firing.excitatory, bold(during) - bold(point)
    found = {}
    for word, name in (("driven", driven), ("seen", seen)):
        members = regions.members(name)
        found[f"{word}_rate"] = float(rate[members].mean())
        found[f"{word}_bold"] = float(signal[members].mean())
    return found


def effective_samples(
    point: FixedPoint,
    seconds: float,
    balloon: Balloon | None = None,
    band: tuple[float, float] | None = RESTING_BAND,
) -> float:
    """Return how many independent samples a scan of filtered BOLD amounts to, as the median over pairs of regions.

    Successive volumes are alike, so the error of a correlation is that of fewer samples: by Bartlett's formula the
    variance of the correlation of two unrelated series is Σₖ ρx(k) ρy(k) / N, which in terms of their spectra is
    ∫ Sx Sy df / (T ∫ Sx df ∫ Sy df), both sided. Its inverse is returned; it does not depend on the repetition time as
    long as that resolves the band.

    Parameters
    ----------
    point : FixedPoint
        Which gives the spectra.
    seconds : float
        Length of the scan.
    balloon : Balloon, optional
    band : tuple of float or None
        Pass band in Hz.
    """
    over = quadrature(band)
    vessels = transfer(Balloon.build() if balloon is None else balloon, point.gating.excitatory, over.nodes)
    at = slopes(point.model, point.coupling, point.gating, point.inputs)
    neural = cross_spectrum(at, point.coupling, point.model.noise, over.nodes)
    density = np.abs(vessels) ** 2 * np.real(np.diagonal(neural, axis1=1, axis2=2))
    # the weights hold the filter's gain once; a product of two spectra needs it twice
    passed = over.weights / quadrature(band, filtered=False).weights
    power = over.weights @ density
    shared = (density * (over.weights * passed)[:, None]).T @ density
    count = seconds * 2.0 * np.outer(power, power) / shared
    return float(np.median(count[np.triu_indices(len(power), 1)]))


def simulated_scans(covariance: Array, samples: float, persons: int, seed: int) -> Array:
    """Draw the connectivity that scans of persons with the same covariance would show.

    Parameters
    ----------
    covariance : ndarray, shape (R, R)
    samples : float
        Effective samples of a scan, from `effective_samples`; at least 4.
    persons : int
    seed : int

    Returns
    -------
    ndarray, shape (persons, R, R)
        Correlations.

    Raises
    ------
    InputError
        If the scan is too short.
    """
    count = round(samples)
    if count < 4:
        raise InputError(f"a scan of {samples:.2g} effective samples is too short for a correlation; give at least 4")
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    drawn = np.random.default_rng(seed).standard_normal((persons, count, len(values))) @ root.T
    drawn -= drawn.mean(axis=1, keepdims=True)
    drawn /= np.sqrt((drawn**2).sum(axis=1, keepdims=True))
    return np.asarray(np.swapaxes(drawn, 1, 2) @ drawn)


def compare(
    first: Array,
    second: Array,
    persons: int,
    *,
    paired: bool,
    between_sd: float = 0.0,
    correlated: float = 0.0,
) -> Effect:
    """Say what a study of a given size would see of the difference between two states.

    Parameters
    ----------
    first, second : ndarray, shape (draws,)
        A measure in simulated scans of both states: enough draws that mean and spread are known (some hundreds).
    persons : int
        In each group, or in all where each is seen in both states.
    paired : bool
        Whether the same persons are seen in both states.
    between_sd : float
        Standard deviation of the measure between persons, beyond sampling error, in its unit. 0 leaves sampling error
        alone.
    correlated : float
        Correlation of a person's true value in both states; matters where they are paired.

    Returns
    -------
    Effect

    Raises
    ------
    InputError
        If there are fewer than two persons, or the spread or correlation is impossible.
    """
    if persons < 2:
        raise InputError(f"{persons} persons are too few to compare; give at least 2")
    if between_sd < 0.0 or not -1.0 <= correlated <= 1.0:
        raise InputError("a spread between persons is 0 or more, and a correlation lies between -1 and 1")
    difference = float(second.mean() - first.mean())
    sampling = 0.5 * float(first.var(ddof=1) + second.var(ddof=1))
    if paired:
        spread = np.sqrt(2.0 * sampling + 2.0 * between_sd**2 * (1.0 - correlated))
        free, scale = persons - 1, np.sqrt(persons)
    else:
        spread = np.sqrt(sampling + between_sd**2)
        free, scale = 2 * persons - 2, np.sqrt(persons / 2.0)
    size = difference / float(spread) if spread > 0.0 else float(np.sign(difference)) * np.inf
    return Effect(difference, size, _power(size, free, float(scale)))


def paired_power(size: float, persons: int) -> float:
    """Return the chance that a two-sided paired t-test at 5 % finds a standardised difference, among 2 or more."""
    return _power(size, persons - 1, float(np.sqrt(persons)))


def _power(size: float, free: int, scale: float) -> float:
    from scipy.stats import nct, t

    if not size:
        return 0.05
    limit = t.ppf(0.975, free)
    shift = np.clip(size * scale, -37.0, 37.0)  # beyond which power is 1 and SciPy's series fails
    return float(nct.sf(limit, free, shift) + nct.cdf(-limit, free, shift))


def drawn_effect(
    first: Array,
    second: Array,
    measure: Callable[[Array], Array],
    *,
    samples: float,
    persons: int,
    paired: bool,
    draws: int = 400,
    seed: int = 0,
    between_sd: float = 0.0,
    correlated: float = 0.0,
) -> Effect:
    """Say what a study would see of a measure of connectivity between two states of the model.

    Parameters
    ----------
    first, second : ndarray, shape (R, R)
        Covariance of BOLD in both states.
    measure : callable
        Connectivity (draws, R, R) to values (draws,).
    samples : float
        Effective samples of a scan.
    persons, paired, between_sd, correlated
        As in `compare`.
    draws : int
    seed : int

    Returns
    -------
    Effect
    """
    one, other = (
        measure(simulated_scans(state, samples, draws, seed + at)) for at, state in enumerate((first, second))
    )
    return compare(one, other, persons, paired=paired, between_sd=between_sd, correlated=correlated)
