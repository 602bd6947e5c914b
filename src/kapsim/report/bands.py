"""From (patient, time) arrays to the few curves that a figure shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_POINTS: Final = 400


class Bands(NamedTuple):
    """Quantiles over patients along time.

    Parameters
    ----------
    time : array (time,)
        Hours.
    quantiles : array (5, time)
        Rows are the 5th, 25th, 50th, 75th and 95th percentile over patients, in the unit of the variable.
    """

    time: Floats
    quantiles: Floats


def has_course(dataset: xr.Dataset, name: str) -> bool:
    """Tell whether the results hold a (patient, time) variable of this name."""
    return name in dataset.data_vars and set(dataset.variables[name].dims) == {"patient", "time"}


def course(dataset: xr.Dataset, name: str) -> Floats:
    """Return a variable as a float array of shape (patient, time)."""
    return np.asarray(dataset.variables[name].transpose("patient", "time").values, dtype=np.float64)


def times(dataset: xr.Dataset) -> Floats:
    """Return the times of the results in hours, shape (time,)."""
    return np.asarray(dataset.variables["time"].values, dtype=np.float64)


def patient_quantiles(values: Floats, probabilities: tuple[float, ...] = QUANTILES) -> Floats:
    """Return quantiles over patients, one sort for all of them (linear interpolation, as NumPy's default).

    Parameters
    ----------
    values : array (patient, time)
        NaN means no value and is left out.
    probabilities : tuple of float
        Each in 0 to 1.

    Returns
    -------
    array (len(probabilities), time)
        NaN where no patient has a value.
    """
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
    # A sort puts NaN last, so the first `count` entries of a row are its values.
    count = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
    rows = np.arange(ordered.shape[0])
    last = np.maximum(count - 1, 0)
    result = np.empty((len(probabilities), ordered.shape[0]))
    for index, probability in enumerate(probabilities):
        position = probability * last
        below = position.astype(np.intp)
        above = np.minimum(below + 1, last)
        low, high = ordered[rows, below], ordered[rows, above]
        result[index] = low + (position - below) * (high - low)
    return result


def decimate(mean: Floats, limit: int = MAX_POINTS) -> NDArray[np.intp]:
    """Choose at most `limit` indices of a curve so that its ends, peaks and troughs stay.

    The curve is cut into equal runs of samples and each run keeps its lowest and its highest sample: a plain stride
    would step over the short concentration peak of a dose.

    Parameters
    ----------
    mean : array (time,)
        The curve whose shape must survive.
    limit : int
        Largest number of indices, at least 4.

    Returns
    -------
    array of int
        Increasing indices; all of them if the curve is short enough.
    """
    size = mean.shape[0]
    if size <= limit:
        return np.arange(size)
    runs = (limit - 2) // 2
    width = -(-size // runs)
    padded = np.full(runs * width, np.nan)
    padded[:size] = mean
    table = padded.reshape(runs, width)
    low = np.where(np.isnan(table), np.inf, table).argmin(axis=1)
    high = np.where(np.isnan(table), -np.inf, table).argmax(axis=1)
    starts = np.arange(runs) * width
    chosen = np.unique(np.concatenate((starts + low, starts + high, [0, size - 1])))
    kept: NDArray[np.intp] = chosen[chosen < size]
    return kept


def bands(time: Floats, values: Floats, *, limit: int = MAX_POINTS) -> Bands:
    """Return quantile bands over patients at no more than `limit` of the times.

    Parameters
    ----------
    time : array (time,)
        Hours.
    values : array (patient, time)
        One variable.
    limit : int
        Largest number of times to keep.
    """
    keep = decimate(values.mean(axis=0), limit)
    return Bands(time[keep], patient_quantiles(values[:, keep]))


def window(time: Floats, start: float, end: float) -> slice:
    """Return the slice of samples between two times (hours), at least two samples wide where there are two."""
    first = int(np.searchsorted(time, start, side="left"))
    stop = int(np.searchsorted(time, end, side="right"))
    if stop - first < 2:
        first, stop = max(0, first - 1), min(time.shape[0], stop + 1)
    return slice(first, stop)


def extreme_change(values: Floats) -> Floats:
    """Return each patient's signed change from the first sample where it is largest in size, shape (patient,)."""
    change = values - values[:, :1]
    size = np.where(np.isnan(change), -1.0, np.abs(change))
    result: Floats = change[np.arange(change.shape[0]), size.argmax(axis=1)]
    return result
