"""Rating scales: recall windows as differences of an integral, and the published tables between scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import load_parameters

Array = NDArray[np.float64]

#: QIDS-SR16 scores with a published MADRS equivalent.
QIDS_KNOTS = (5, 6, 11, 16, 21)
HDRS17_MAXIMUM, QIDS_MAXIMUM, PHQ9_MAXIMUM, BDI_MAXIMUM, GAD7_MAXIMUM = 52.0, 27.0, 27.0, 63.0, 21.0
#: Scales of depression that are read off the MADRS.
CONVERTED = ("hdrs17", "qids", "phq9", "bdi")


def maximum(scale: str) -> float:
    """Return the upper end of a scale, points; InputError for one that the model does not have."""
    fixed = {
        "hdrs17": HDRS17_MAXIMUM, "qids": QIDS_MAXIMUM, "phq9": PHQ9_MAXIMUM, "bdi": BDI_MAXIMUM, "gad7": GAD7_MAXIMUM,
    }  # fmt: skip
    if scale in fixed:
        return fixed[scale]
    if scale in ("madrs", "hama"):
        return load_parameters()[f"mood.{scale}.maximum"].value
    raise InputError(f"no scale {scale!r}; known: madrs, hama, {', '.join(fixed)}")


def recall_hours() -> tuple[float, ...]:
    """Return the different recall periods of the scales, h."""
    parameters = load_parameters()
    return tuple(sorted({p.value for name, p in parameters.items() if name.startswith("mood.recall.")}))


def window_mean(hours: Array, integral: Array, score: Array, anchors: Sequence[float], recall: float) -> Array:
    """Return what a rating at each time says: the mean score since the last anchor, at most over the recall period.

    Parameters
    ----------
    hours : ndarray, shape (time,)
        Times, ascending, h.
    integral, score : ndarray, shape (time, patient)
        Integral of the momentary score since time 0 (points times h), and the momentary score (points).
    anchors : sequence of float
        Times of doses and of earlier ratings, h: a rating looks back to the last one before it.
    recall : float
        Recall period, h.

    Returns
    -------
    ndarray, shape (time, patient)
        Points. Where nothing lies between the anchor and the rating, the momentary score.
    """
    ordered = np.asarray(sorted({0.0, *anchors}))
    # an anchor within a second of the rating is the rating itself, not an earlier one
    latest = ordered[np.maximum(np.searchsorted(ordered, hours - 1e-3) - 1, 0)]
    begin = np.maximum(latest, hours - recall)
    width = hours - begin
    earlier = _hermite(hours, integral, score, begin)
    mean = (integral - earlier) / np.where(width > 0.0, width, 1.0)[:, None]
    return np.where((width > 0.0)[:, None], mean, score)


def scale_scores(
    hours: Array, integrals: tuple[Array, Array], momentary: tuple[Array, Array], anchors: Sequence[float]
) -> dict[str, Array]:
    """Return the expected score on every scale, as its recall period sees it.

    Parameters
    ----------
    hours : ndarray, shape (time,)
        Times, ascending, h.
    integrals, momentary : pair of ndarray, shape (time, patient)
        Of MADRS and HAM-A: the integral of the momentary score since time 0 (points times h), and the score (points).
    anchors : sequence of float
        Times of doses and of ratings, h.

    Returns
    -------
    dict of str to ndarray, shape (time, patient)
        Points, by scale.
    """
    parameters = load_parameters()

    def rated(scale: str, which: int) -> Array:
        recall = parameters[f"mood.recall.{scale}"].value
        return window_mean(hours, integrals[which], momentary[which], anchors, recall)

    found = {"madrs": rated("madrs", 0)}
    for scale in CONVERTED:
        found[scale] = from_madrs(scale, rated(scale, 0))
    found["hama"] = rated("hama", 1)
    found["gad7"] = gad7_from_hama(rated("gad7", 1))
    return found


def _hermite(hours: Array, values: Array, slopes: Array, at: Array) -> Array:
    """Interpolate `values` with known `slopes` at times `at`, shape (len(at), patient)."""
    right = np.clip(np.searchsorted(hours, at, side="right"), 1, len(hours) - 1)
    left = right - 1
    step = (hours[right] - hours[left])[:, None]
    t = (at - hours[left])[:, None] / step
    square, cube = t * t, t * t * t
    return np.asarray(
        (2 * cube - 3 * square + 1) * values[left]
        + (cube - 2 * square + t) * step * slopes[left]
        + (3 * square - 2 * cube) * values[right]
        + (cube - square) * step * slopes[right]
    )


def _madrs_at_qids() -> tuple[Array, Array]:
    """Return the knots (MADRS, QIDS) of the published links, from zero to the top of both scales."""
    parameters = load_parameters()
    madrs = [parameters[f"mood.scale.madrs_at_qids{score}"].value for score in QIDS_KNOTS]
    top = parameters["mood.madrs.maximum"].value
    return np.asarray([0.0, *madrs, top]), np.asarray([0.0, *map(float, QIDS_KNOTS), QIDS_MAXIMUM])


def from_madrs(scale: str, madrs: Array) -> Array:
    """Return `scale` ('hdrs17', 'qids', 'phq9' or 'bdi') points that correspond to MADRS points."""
    parameters = load_parameters()
    if scale == "hdrs17":
        return madrs * parameters["mood.scale.hdrs17_per_madrs"].value
    if scale == "qids":
        return np.interp(madrs, *_madrs_at_qids())
    if scale == "phq9":
        return np.minimum(madrs * parameters["mood.scale.phq9_per_madrs"].value, PHQ9_MAXIMUM)
    if scale == "bdi":
        slope, intercept = (parameters[f"mood.scale.bdi_{part}"].value for part in ("per_hdrs17", "at_hdrs17_zero"))
        return np.clip(intercept + slope * from_madrs("hdrs17", madrs), 0.0, BDI_MAXIMUM)
    raise InputError(f"no table from MADRS to {scale!r}; known: {', '.join(CONVERTED)}")


def to_madrs(scale: str, score: float) -> float:
    """Return the MADRS that corresponds to a `score` of 'madrs', 'hdrs17', 'qids', 'phq9' or 'bdi'."""
    parameters = load_parameters()
    if scale == "madrs":
        return score
    if scale == "hdrs17":
        return score / parameters["mood.scale.hdrs17_per_madrs"].value
    if scale == "qids":
        madrs, qids = _madrs_at_qids()
        return float(np.interp(score, qids, madrs))
    if scale == "phq9":
        return score / parameters["mood.scale.phq9_per_madrs"].value
    if scale == "bdi":
        slope, intercept = (parameters[f"mood.scale.bdi_{part}"].value for part in ("per_hdrs17", "at_hdrs17_zero"))
        return to_madrs("hdrs17", (score - intercept) / slope)
    raise InputError(f"no table from {scale!r} to MADRS; known: madrs, {', '.join(CONVERTED)}")


def gad7_from_hama(hama: Array) -> Array:
    """Return GAD-7 points that correspond to HAM-A points."""
    return np.minimum(hama * load_parameters()["mood.scale.gad7_per_hama"].value, GAD7_MAXIMUM)
