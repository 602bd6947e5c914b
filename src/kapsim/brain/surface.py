"""Response surface of the cortex: fixed points of the whole-brain model, fitted by explicit polynomials.

The chain's `network` link does not run a cortex; it reads where one comes to rest (`mechanisms/response_surface.py`).
Here those states (`cerebrum.py`) are computed over points that fill the box of the link's variables evenly, and each
read-out's logarithm is fitted by least squares. The polynomials are as low as their errors at held-out points allow,
and those errors are a part of the surface.

Rates are taken at healthy strength: a slow change of it is balanced as it grows and moves no rate, with or without
drug. That is the link's law, and an approximation: how far the cortex itself departs from it is `strength_on_rates`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.cerebrum import Cerebrum, cortex_at
from kapsim.brain.connectome import Connectome
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.mean_field import MeanField
from kapsim.brain.working_point import NORMALISATION, WorkingPoint, working_point
from kapsim.errors import InputError
from kapsim.mechanisms.response_surface import (
    Axis,
    ResponseSurface,
    Term,
    Variables,
    from_records,
    scale,
    to_records,
)

Array = NDArray[np.float64]

#: Counts up with any change of what is computed here, so that a stored surface is not taken for a new one.
METHOD = 2
#: Edges and width of each variable. The box ends before the low branch does, which exists at every corner, widths
#: included, in `dk68`. What ends it are a large net cut, strength, inhibition and subgenual efficacy together.
BOX = Variables(
    net=Axis(-0.10, 0.04, 0.01),
    pyramidal=Axis(0.0, 0.10, 0.02),
    inhibition=Axis(-0.030, 0.010, 0.005),
    strength=Axis(-0.200, 0.055, 0.015),
    subgenual=Axis(-0.15, 0.11, 0.02),
)
#: Highest total degree of a term.
DEGREE = 4
#: Terms are dropped one by one as long as the root mean square error grows by no more than this share in all: a
#: third of those that the degree allows then do.
TOLERATED = 0.5
POINTS, HELD_OUT = 512, 128
#: Half of the points fill the box, half this part of it about health at rest, where people spend their days.
INNER = 0.5
#: Significant digits of the weights that the hash of a surface knows.
WEIGHT_DIGITS = 9
RATES = ("pyramidal", "interneuron")
MEASURES = ("dmn", "dmn_connectivity", "sgacc_dmn")


def design(count: int, seed: int, share: float = 1.0, box: Variables = BOX) -> list[Variables]:
    """Return points that fill a box evenly, widths of its edges included: a scrambled Sobol sequence.

    With a `share` below 1 they fill a smaller box about health at rest, that share of the whole in every direction.
    """
    from scipy.stats import qmc

    shares = qmc.Sobol(len(box), seed=seed).random_base2((count - 1).bit_length())[:count]
    low = np.array([axis.low - axis.width for axis in box])
    high = np.array([axis.high + axis.width for axis in box])
    return [Variables(*map(float, row)) for row in share * (low + shares * (high - low))]


def corners(box: Variables = BOX) -> list[Variables]:
    """Return the corners of a box, widths of its edges included."""
    edges = ((axis.low - axis.width, axis.high + axis.width) for axis in box)
    return [Variables(*corner) for corner in itertools.product(*edges)]


def log_readouts(cerebrum: Cerebrum, variables: Variables, equivalents: tuple[float, float]) -> dict[str, float]:
    """Return the logarithm of every read-out over its value in health at rest: rates at healthy strength."""
    cortex = cortex_at(variables, equivalents)
    asked: dict[str, float] = {}
    for names, strength in ((RATES, 1.0), (MEASURES, cortex.strength)):
        point = cerebrum.state(cortex._replace(strength=strength))
        found = cerebrum.rates(point) if names is RATES else cerebrum.measures(point)
        asked |= found
    home = cerebrum.rates(cerebrum.home) | cerebrum.measures(cerebrum.home)
    return {name: float(np.log(asked[name] / home[name])) for name in (*RATES, *MEASURES)}


def strength_on_rates(cerebrum: Cerebrum, variables: Variables, equivalents: tuple[float, float]) -> float:
    """Return by how much the logarithm of the pyramidal rate departs from that at healthy strength."""
    cortex = cortex_at(variables, equivalents)
    one, other = (cerebrum.state(state) for state in (cortex, cortex._replace(strength=1.0)))
    return float(np.log(cerebrum.mean_rate(one) / cerebrum.mean_rate(other)))


def basis(name: str, degree: int = DEGREE) -> list[tuple[int, ...]]:
    """Return the powers of the terms that a read-out may have.

    Never a constant. Rates know no strength, and the pyramidal rate is at its set point without drug: each of its terms
    holds a cut or inhibition.
    """
    every = itertools.product(range(degree + 1), repeat=len(Variables._fields))
    strength = Variables._fields.index("strength")
    kept = [powers for powers in every if 0 < sum(powers) <= degree]
    if name in RATES:
        kept = [powers for powers in kept if not powers[strength]]
    if name == "pyramidal":
        kept = [powers for powers in kept if any(powers[:strength])]
    return kept


def fitted(name: str, points: list[Variables], values: Array, box: Variables = BOX) -> tuple[Term, ...]:
    """Return the polynomial of a read-out: least squares, then without the terms that it does not miss.

    Terms go by the rise of the sum of squares that each causes, smallest first, as long as the root mean square error
    (for the degrees of freedom left) rises by no more than `TOLERATED`. First powers stay: they are the slopes at rest.
    """
    powers = basis(name)
    scaled = np.array(points) / [scale(axis) for axis in box]

    def matrix(kept: list[tuple[int, ...]]) -> Array:
        return np.stack([np.prod(scaled ** np.array(power), axis=1) for power in kept], axis=1)

    def solved(kept: list[tuple[int, ...]]) -> tuple[Array, Array, float]:
        columns = matrix(kept)
        coefficients = np.linalg.lstsq(columns, values, rcond=None)[0]
        error = float(np.sqrt(((columns @ coefficients - values) ** 2).sum() / (len(values) - len(kept))))
        # what leaving a term out adds to the sum of squares
        importance = coefficients**2 / np.diagonal(np.linalg.inv(columns.T @ columns))
        return np.asarray(coefficients, dtype=float), np.asarray(importance), error

    coefficients, importance, error = solved(powers)
    allowed = error * (1.0 + TOLERATED)
    while True:
        candidates = [at for at, power in enumerate(powers) if sum(power) > 1]
        if not candidates:
            break
        weakest = min(candidates, key=lambda at: importance[at])
        fewer = powers[:weakest] + powers[weakest + 1 :]
        again, shares, grown = solved(fewer)
        if grown > allowed:
            break
        powers, coefficients, importance = fewer, again, shares
    return tuple(Term(power, float(f"{value:.6g}")) for power, value in zip(powers, coefficients, strict=True))


def compute(
    connectome: Connectome,
    *,
    points: int = POINTS,
    held_out: int = HELD_OUT,
    progress: Callable[[int, int], None] | None = None,
) -> ResponseSurface:
    """Compute the response surface of a connectome at the working point (some minutes).

    Parameters
    ----------
    connectome : Connectome
    points, held_out : int
        States that the polynomials are fitted to, besides the corners of the box, and that their errors are taken
        from; powers of 2 fill the box most evenly.
    progress : callable, optional
        Called with states done and states in all.

    Raises
    ------
    InputError
        If the parcellation lacks the default mode network or the subgenual cingulate.
    FixedPointError
        If the low branch ends inside the box.
    """
    cerebrum = Cerebrum.at_working_point(connectome)
    by_pyramidal, by_inhibition = (float(f"{value:.6g}") for value in cerebrum.equivalents())
    equivalents = by_pyramidal, by_inhibition
    half = (points + 1) // 2
    places = design(half, 0) + corners() + design(points - half, 2, INNER) + design(held_out, 1)
    table = []
    for done, place in enumerate(places):
        table.append(log_readouts(cerebrum, place, equivalents))
        if progress is not None:
            progress(done + 1, len(places))
    count = len(places) - held_out
    columns = {name: np.array([row[name] for row in table]) for name in (*RATES, *MEASURES)}
    terms = {name: fitted(name, places[:count], values[:count]) for name, values in columns.items()}
    surface = ResponseSurface(connectome.name, digest(connectome), by_pyramidal, by_inhibition, BOX, terms, {})
    errors = {}
    for name, values in columns.items():
        off = np.array([surface.logarithm(name, place) for place in places[count:]]) - values[count:]
        errors[name] = (float(f"{np.abs(off).max():.2g}"), float(f"{np.sqrt((off**2).mean()):.2g}"))
    return replace(surface, errors=errors)


def digest(connectome: Connectome, point: WorkingPoint | None = None) -> str:
    """Return a hash of all that a surface is computed from: connectome, working point, constants, box and method."""
    at = working_point() if point is None else point
    constants = [(kind.__name__, kind.build()) for kind in (MeanField, Balloon)]
    told: dict[str, Any] = {
        "method": [METHOD, DEGREE, TOLERATED, POINTS, HELD_OUT, INNER, list(RATES), list(MEASURES)],
        "box": [list(axis) for axis in BOX],
        "working point": [at.coupling, at.exponent, NORMALISATION],
        "constants": {f"{name}.{item.name}": getattr(built, item.name) for name, built in constants
                      for item in fields(built)},
        "sets": {name: connectome.regions.members(name).tolist() for name in ("default", "subgenual")},
        "cortical": np.asarray(connectome.regions.cortical).tolist(),
    }  # fmt: skip
    hashed = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    # shipped weights are exponentials, whose last bit differs between processors
    hashed.update(" ".join(f"{weight:.{WEIGHT_DIGITS}g}" for weight in connectome.weights.flat).encode())
    return hashed.hexdigest()


def response_surface(
    connectome: Connectome, *, progress: Callable[[int, int], None] | None = None, folder: Path | None = None
) -> ResponseSurface:
    """Return the response surface of a connectome: shipped, stored from an earlier call, or computed (some minutes).

    Parameters
    ----------
    connectome : Connectome
    progress : callable, optional
        As for `compute`.
    folder : Path, optional
        Where surfaces are stored; the user's cache folder if left out.

    Raises
    ------
    InputError, FixedPointError
        As from `compute`; a stored file that is damaged is made anew.
    """
    from platformdirs import user_cache_path

    from kapsim.files import write_together
    from kapsim.mechanisms.response_surface import shipped_surface

    wanted = digest(connectome)
    if shipped_surface().digest == wanted:
        return shipped_surface()
    stored = (user_cache_path("kapsim") if folder is None else folder) / f"surface-{wanted[:32]}.json"
    found = read_stored(stored, wanted)
    if found is not None:
        return found
    surface = compute(connectome, progress=progress)
    stored.parent.mkdir(parents=True, exist_ok=True)
    write_together({stored: json.dumps(to_records(surface), indent=1).encode()})
    return surface


def read_stored(place: Path, wanted: str) -> ResponseSurface | None:
    """Return the surface that a file holds; None where it is not there, damaged, or of another connectome.

    Parameters
    ----------
    place : Path
    wanted : str
        Hash of the connectome, as `digest` gives it.
    """
    try:
        found = from_records(json.loads(place.read_text(encoding="utf-8")), str(place))
    except (InputError, OSError, ValueError, RecursionError):
        return None
    return found if found.digest == wanted else None
