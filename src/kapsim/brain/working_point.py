"""Working point: the one coupling, and the one scaling of weights, at which fit, drug and illness are all computed.

A coupling means nothing without the scaling, and a model that is fitted at one coupling and drugged at another is two
models. So there is one, chosen by a rule that looks at no drug (`scripts/brain_working_point.py`, which writes the
record file that is read here; the rule and what it found stand in `docs/brain.md`).

Weights are raised to a power and divided by their largest eigenvalue. One coupling then means about the same in every
parcellation: with feedback inhibition, rest is lost at 1.30 to 1.45 in all that are shipped.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.mean_field import RegionalInputs
from kapsim.evidence import DATA, load_evidence

Array = NDArray[np.float64]

NORMALISATION = "spectral"
RECORDS = DATA / "parameters-brain-working-point.yaml"


@dataclass(frozen=True)
class WorkingPoint:
    """Coupling and scaling.

    Attributes
    ----------
    coupling : float
        G, which multiplies the scaled weights.
    exponent : float
        Power to which weights are raised before they are divided by their largest eigenvalue.
    gradient : float
        Relative change of local recurrence per standard deviation of T1w/T2w, where regions are to differ.
    """

    coupling: float
    exponent: float
    gradient: float

    def scaled(self, connectome: Connectome) -> Array:
        """Return the long-range weights G C of a connectome, shape (R, R)."""
        return self.coupling * connectome.normalised(NORMALISATION, exponent=self.exponent)

    def heterogeneous(self, connectome: Connectome, inputs: RegionalInputs | None = None) -> RegionalInputs:
        """Return inputs whose local recurrence follows the T1w/T2w map of a connectome.

        Raises
        ------
        InputError
            If the connectome lacks that map, or a region of it.
        """
        given = RegionalInputs(0.0) if inputs is None else inputs
        values = connectome.regions.map_values("t1wt2w")
        return given._replace(strength=given.strength * (1.0 + self.gradient * (values - values.mean()) / values.std()))


@functools.cache
def working_point(path: Path = RECORDS) -> WorkingPoint:
    """Return the working point of this version.

    Raises
    ------
    InputError
        If its records cannot be read.
    """
    records: Mapping[str, object] = load_evidence([path])

    def value(name: str) -> float:
        found = records[f"brain.working_point.{name}"]
        return float(found.value)  # type: ignore[attr-defined]

    return WorkingPoint(coupling=value("coupling"), exponent=value("exponent"), gradient=value("gradient"))
