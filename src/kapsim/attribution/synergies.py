"""Therapy and drug, each alone and both: four cells, and what both do beyond the sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.attribution.game import Estimate, estimate, ratio_estimate

Array = NDArray[np.float64]

CELLS = ("neither", "drug", "therapy", "both")
"""The same visits with a control and without sessions; then the drug, the sessions, or both."""


@dataclass(frozen=True)
class Synergy:
    """Therapy and drug at one moment on one scale, in points.

    Attributes
    ----------
    scale, moment : str
    cells : dict of str to Estimate
        Change from baseline in each of `CELLS`.
    drug, therapy, both : Estimate
        Effect over neither.
    points : Estimate
        Both less the sum of each alone: negative where together they relieve more than that.
    ratio : Estimate or None
        Effect of both over the sum of each alone; None where that sum is not told from zero.
    """

    scale: str
    moment: str
    cells: dict[str, Estimate]
    drug: Estimate
    therapy: Estimate
    both: Estimate
    points: Estimate
    ratio: Estimate | None


def synergy(scale: str, moment: str, change: dict[str, Array], draw: NDArray[np.int64]) -> Synergy:
    """Return the synergy of therapy and drug.

    Parameters
    ----------
    scale, moment : str
    change : dict of str to ndarray, shape (patient,)
        Change from baseline of the same people in each of `CELLS`.
    draw : ndarray of int, shape (patient,)
        Which draw of the uncertain parameters each person has.
    """
    neither = change["neither"]
    drug, therapy, both = (change[name] - neither for name in ("drug", "therapy", "both"))
    return Synergy(
        scale=scale,
        moment=moment,
        cells={name: estimate(change[name], draw) for name in CELLS},
        drug=estimate(drug, draw),
        therapy=estimate(therapy, draw),
        both=estimate(both, draw),
        points=estimate(both - drug - therapy, draw),
        ratio=ratio_estimate(both, drug + therapy, draw),
    )
