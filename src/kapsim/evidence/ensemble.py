"""The posterior ensemble of the chain: what its calibrated parameters have in common.

A calibration gives each parameter a middle and a width; the ensemble gives its draws around them, in units of that
width, so that they can also stand around the middle that is left without one study.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence._files import CHAIN_ENSEMBLE
from kapsim.strict_yaml import one_line


@functools.cache
def load_ensemble(path: Path = CHAIN_ENSEMBLE) -> Mapping[str, NDArray[np.float64]]:
    """Load the draws of the posterior.

    Parameters
    ----------
    path : Path, optional
        By default the shipped one. It is read once.

    Returns
    -------
    mapping of str to ndarray, shape (draw,)
        Standard deviates by parameter, draws in one order for all; empty where no posterior ships.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold an ensemble.
    """
    if not path.exists():
        return {}
    try:
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        values = np.array([row.split(",") for row in rows], dtype=float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: cannot be read: {one_line(error, 300)}") from error
    names = head.split(",")
    if values.ndim != 2 or values.shape[1] != len(names) or not np.isfinite(values).all():
        raise InputError(f"{path.name}: must be one column of numbers for each of its {len(names)} names")
    return dict(zip(names, np.ascontiguousarray(values.T), strict=True))
