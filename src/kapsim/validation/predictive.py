"""Predictive distribution of a figure: what a study of its size would have reported, were the model right.

Three spreads meet in it: what is not known of the parameters (between draws), how patients differ, and the sampling and
measurement error of a study of that many people. Studies also share an error within themselves: of concentrations by as
much as published kinetics differ between studies (the calibration reckons with the same), of ratings by as much as the
arms of trials do (site, region, setting).
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kapsim.validation.subject import Figure

Array = NDArray[np.float64]

#: Studies simulated within each draw of the parameters.
REPLICATES = 25
#: Level of the test by which studies call an effect detected, and the share that an interval holds.
LEVEL, INTERVAL = 0.05, 0.9
_ALL = 100.0
#: Largest relative error of one measurement, as a standard deviation of the logarithm.
_WIDEST = 5.0


class Predicted(NamedTuple):
    """Predictive distribution of one figure.

    Attributes
    ----------
    centre, low, high : float
        Central prediction and 90 % interval.
    sd : float
        Standard deviation of the prediction on the scale on which errors are counted.
    sampling_sd : float
        Its part from sampling and measurement.
    """

    centre: float
    low: float
    high: float
    sd: float
    sampling_sd: float


def transformed(figure: Figure, value: Array) -> Array:
    """Return figures on the scale on which their errors are counted."""
    if figure.scale == "log":
        return np.asarray(np.log(np.maximum(value, 1e-12)))
    if figure.scale == "percent":
        return np.asarray(np.log(np.maximum(1.0 + np.asarray(value) / 100.0, 1e-12)))
    return np.asarray(value, dtype=float)


def restored(figure: Figure, value: Array) -> Array:
    """Undo `transformed`."""
    if figure.scale == "log":
        return np.asarray(np.exp(value))
    if figure.scale == "percent":
        return np.asarray(100.0 * (np.exp(value) - 1.0))
    return np.asarray(value)


def predict(figure: Figure, n: int, seed: int, key: str) -> Predicted:
    """Return what a study of `n` people an arm would report.

    Parameters
    ----------
    figure : Figure
    n : int
        People an arm, at least 1.
    seed : int
        Root of all randomness.
    key : str
        Record and point, so that a record's interval does not depend on which others are scored.

    Returns
    -------
    Predicted
        Not a number where no draw has a figure (nobody enters a phase).
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(key.encode())]))
    noise = _noise_sd(figure)
    if figure.scale == "sign":
        return _sign(figure, n)
    patients = figure.parts[0].shape[-1]
    whole = transformed(figure, figure.join(*figure.parts))
    if not np.isfinite(whole).any():
        return Predicted(float("nan"), float("nan"), float("nan"), 0.0, 0.0)
    centre = float(np.nanmean(whole) if figure.scale == "share" else np.nanmedian(whole))
    # what is not known differs between draws, and so do the few patients of each: only the first belongs to a study
    few = _deviations(figure, (0.0,) * len(noise), patients, rng)
    between, apart = float(np.nanvar(whole, ddof=1)), float(np.nanmean(few**2))
    shrink = np.sqrt(max(between - apart, 0.0) / between) if between > 0.0 else 0.0
    errors = _deviations(figure, noise, n, rng)
    sampling = float(np.nanmean(errors**2))
    studies = centre + shrink * (whole[:, None] - centre) + errors
    if figure.scale == "share":
        # what a study shares moves how many are likely to count, and no share leaves 0 to 100 %
        own = figure.shared * rng.standard_normal(errors.shape) if figure.shared > 0.0 else np.zeros(errors.shape)
        likely = np.clip(centre + shrink * (whole - centre)[:, None] + own, 0.0, _ALL) / _ALL
        studies = _ALL * rng.binomial(n, np.nan_to_num(likely), errors.shape) / n
        sampling = max(sampling, _ALL**2 * _rare(centre / _ALL, whole.size * patients) / n)
    elif figure.shared > 0.0:
        studies = studies + figure.shared * rng.standard_normal(studies.shape)
    sampling += figure.shared**2
    low, high = np.nanquantile(studies, [(1.0 - INTERVAL) / 2, (1.0 + INTERVAL) / 2])
    # where next to nobody counts, the mean lies beyond most of what studies would see
    low, high = min(low, centre), max(high, centre)
    shown = restored(figure, np.asarray([centre, low, high]))
    return Predicted(
        float(shown[0]),
        float(shown[1]),
        float(shown[2]),
        max(float(np.nanstd(studies)), float(np.sqrt(sampling)) if figure.scale == "share" else 0.0),
        float(np.sqrt(sampling)),
    )


def _noise_sd(figure: Figure) -> tuple[float, ...]:
    if not figure.relative:
        return figure.noise
    return tuple(sd * abs(float(np.mean(part))) for sd, part in zip(figure.noise, figure.parts, strict=True))


def _deviations(figure: Figure, noise: tuple[float, ...], size: int, rng: np.random.Generator) -> Array:
    """Return how far studies of `size` people lie from what their draw would show of many, shape (draw, replicate)."""
    draws, patients = figure.parts[0].shape

    def chosen() -> NDArray[np.int64]:
        return rng.integers(0, patients, (draws, REPLICATES, size))

    one = chosen()
    picked = []
    for part, sd in zip(figure.parts, noise, strict=True):
        index = one if figure.paired else chosen()
        values = np.take_along_axis(np.broadcast_to(part[:, None, :], (draws, REPLICATES, patients)), index, axis=-1)
        picked.append(_measured(values, sd, figure, rng) if sd > 0.0 else values)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = transformed(figure, figure.join(*picked))
    there = np.isfinite(found)
    mean = np.where(there, found, 0.0).sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1)
    # people drawn again and again from a few differ less than people do
    return np.asarray((found - mean) * np.sqrt(patients / (patients - 1.0)))


def _rare(share: float, people: int) -> float:
    """Return the variance of one yes or no at `share`, above 0 even where nobody of `people` counted."""
    likely = (share * people + 0.5) / (people + 1.0)
    return likely * (1.0 - likely)


def _measured(values: Array, sd: float, figure: Figure, rng: np.random.Generator) -> Array:
    """Return values with an error of measurement: in proportion where errors are ratios, so that none falls below 0."""
    error = rng.standard_normal(values.shape)
    if figure.scale in ("log", "percent"):
        # where the level is next to nothing its measurement is nothing but error
        relative = min(sd / max(abs(float(np.mean(values))), 1e-300), _WIDEST)
        return np.asarray(values * np.exp(relative * error))
    return np.asarray(values + sd * error)


def sign_error(figure: Figure, n: int) -> float:
    """Return the standard error of the difference whose sign a study of `n` people reports.

    Parameters
    ----------
    figure : Figure
        Of a sign: two parts.
    n : int
        People an arm.
    """
    a, b = figure.parts
    noise = _noise_sd(figure)
    if figure.paired:
        variance = (a - b).var(axis=-1, ddof=1).mean() + noise[0] ** 2 + noise[1] ** 2
    else:
        variance = a.var(axis=-1, ddof=1).mean() + b.var(axis=-1, ddof=1).mean() + noise[0] ** 2 + noise[1] ** 2
    return float(np.sqrt(max(float(variance), 0.0) / n))


def _sign(figure: Figure, n: int) -> Predicted:
    """Return −1, 0 or +1: 0 where the study's own test at its size would not detect the effect."""
    effect = np.asarray(figure.join(*figure.parts))
    error = sign_error(figure, n)
    threshold = float(norm.ppf(1.0 - LEVEL / 2))

    def detected(value: float) -> float:
        return float(np.sign(value)) if abs(value) > threshold * max(error, 1e-12) else 0.0

    low, high = np.quantile(effect, [(1.0 - INTERVAL) / 2, (1.0 + INTERVAL) / 2])
    return Predicted(detected(float(np.mean(effect))), detected(float(low)), detected(float(high)), 0.0, error)
