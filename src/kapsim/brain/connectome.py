"""Connectome: how strongly, and over what length, each pair of regions is joined; every row and column has a name.

A matrix whose rows are in another order than its labels gives results that look right and mean nothing. So weights
never travel without their regions, and what can be checked is: shape, sign, symmetry, hemispheres against centroids,
tracts against straight distances, and weights against distance (`Connectome.check_order`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapsim.brain.regions import Matrix, Regions, frozen, set_fields
from kapsim.errors import InputError
from kapsim.strict_yaml import one_line

#: Share by which a pair of entries may differ in a matrix that is symmetric but for rounding.
ROUNDING = 1e-6
NORMALISATIONS = {
    "maximum": "the largest weight becomes 1",
    "spectral": "the largest eigenvalue becomes 1, so that coupling means the same whatever the number of regions",
    "mean_strength": "the mean row sum becomes 1",
    "none": "as it is",
}
"""What a matrix may be divided by: one number. Rows are never normalised one by one: with feedback inhibition all
regions would then be alike, and a contrast between networks zero by construction."""

# What `check_order` asks for: chance gives a score beyond it once in some thousand matrices.
_MANTEL_DRAWS = 199
_MANTEL_SCORE = -3.0
_FEWEST_TO_CHECK = 16


@dataclass(frozen=True, eq=False)
class Connectome:
    """A structural connectome with its regions.

    Parameters
    ----------
    name : str
    weights : array_like
        Strength of the connection of each pair, in any unit; symmetric, not negative, with a diagonal of 0 (what a
        region does to itself is a part of the model of a region); shape (R, R).
    regions : Regions
    lengths : array_like, optional
        Tract lengths in mm, 0 where there is no tract; symmetric; shape (R, R).
    source : str
        Where the matrices come from.

    Raises
    ------
    InputError
        Where a matrix has the wrong shape, is not finite, negative or not symmetric; the message names the regions.
    """

    name: str
    weights: Matrix
    regions: Regions
    lengths: Matrix | None = None
    source: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.regions),) * 2
        for part in ("weights", "lengths"):
            if getattr(self, part) is None:
                continue
            matrix = frozen(getattr(self, part), shape, part)
            self._check(matrix, part)
            set_fields(self, **{part: matrix})
        if not self.weights.any():
            raise InputError("weights: all are 0; give a matrix with connections")

    def _check(self, matrix: Matrix, part: str) -> None:
        names = self.regions.names

        def first(wrong: NDArray[np.bool_]) -> tuple[int, int, str]:
            row, column = (int(index) for index in np.argwhere(wrong)[0])
            return row, column, f"{part}: {names[row]} to {names[column]} (row {row + 1}, column {column + 1})"

        if (wrong := ~np.isfinite(matrix)).any():
            row, column, place = first(wrong)
            raise InputError(f"{place}: {matrix[row, column]} is not a number; write 0 where there is no connection")
        if (wrong := matrix < 0.0).any():
            row, column, place = first(wrong)
            what = "a length" if part == "lengths" else "a weight (a count or density, not its logarithm)"
            raise InputError(f"{place}: {matrix[row, column]:g} is negative; {what} is 0 or more")
        scale = np.maximum(np.abs(matrix), np.abs(matrix.T))
        if (wrong := np.abs(matrix - matrix.T) > ROUNDING * scale).any():
            row, column, place = first(wrong)
            raise InputError(
                f"{place}: {matrix[row, column]:g}, but back {matrix[column, row]:g}; tractography has no direction: "
                "give a symmetric matrix, or load it with symmetrise to take the mean of both"
            )
        if (wrong := np.diag(np.diag(matrix) != 0.0)).any():
            row, _, _ = first(wrong)
            raise InputError(
                f"{part}: {names[row]} is connected to itself ({matrix[row, row]:g}); set the diagonal to 0, or load "
                "it with drop_diagonal"
            )

    def __len__(self) -> int:
        return len(self.regions)

    def normalised(self, how: str = "maximum", *, exponent: float = 1.0) -> Matrix:
        """Return the weights divided by one number.

        Parameters
        ----------
        how : str
            One of `NORMALISATIONS`. A coupling means nothing without it.
        exponent : float, optional
            Power, above 0, to which each weight is raised first: counts span five decades, synaptic strength hardly
            does.

        Returns
        -------
        ndarray of float
            Shape (R, R), a copy that may be written to.

        Raises
        ------
        InputError
            For any other word; rows are never normalised one by one.
        """
        if how not in NORMALISATIONS:
            why = "; rows are not normalised here, which would make all regions alike" if how.startswith("row") else ""
            raise InputError(f"no normalisation {one_line(how, 40)!r}: it is one of {', '.join(NORMALISATIONS)}{why}")
        if not 0.0 < exponent < np.inf:
            raise InputError(f"no exponent {exponent:g} of weights; give a number above 0, 1 for weights as they are")
        weights = np.array(self.weights) if exponent == 1.0 else self.weights**exponent
        divisor = 1.0
        if how == "maximum":
            divisor = float(weights.max())
        elif how == "spectral":
            divisor = float(np.linalg.eigvalsh(weights)[-1])
        elif how == "mean_strength":
            divisor = float(weights.sum(axis=1).mean())
        return np.asarray(weights / divisor)

    def distances(self) -> Matrix:
        """Return straight distances between centroids in mm, shape (R, R); an `InputError` where there are none."""
        if self.regions.centroids is None:
            raise InputError(f"{self.name}: regions without centroids have no distances; give x_mm, y_mm and z_mm")
        between: Matrix = np.linalg.norm(self.regions.centroids[:, None] - self.regions.centroids[None], axis=2)
        return between

    def check_order(self) -> float:
        """Check that rows are in the order of the regions: near regions must be joined more strongly than far ones.

        Weights of a real brain fall with distance. Rows in another order than the centroids undo that, so the rank
        correlation of weight and distance is held against the same with the regions shuffled (Mantel's test). Two
        hemispheres exchanged as a whole go unseen: the geometry stays.

        Returns
        -------
        float
            Standard score of the correlation among shuffled ones, below 0 where weights fall with distance; NaN where
            it cannot be checked: no centroids, or fewer than 16 regions.

        Raises
        ------
        InputError
            If weights do not fall with distance beyond chance.
        """
        if self.regions.centroids is None or len(self) < _FEWEST_TO_CHECK:
            return float("nan")
        from scipy.stats import rankdata

        upper = np.triu_indices(len(self), 1)
        far = np.zeros_like(self.weights)
        far[upper] = rankdata(self.distances()[upper])
        far += far.T
        strong = rankdata(self.weights[upper])
        strong -= strong.mean()

        def agreement(order: NDArray[np.intp]) -> float:
            return float(far[order[upper[0]], order[upper[1]]] @ strong)

        generator = np.random.default_rng(0)
        shuffled = np.array([agreement(generator.permutation(len(self))) for _ in range(_MANTEL_DRAWS)])
        score = (agreement(np.arange(len(self))) - shuffled.mean()) / shuffled.std(ddof=1)
        if not score < _MANTEL_SCORE:
            raise InputError(
                f"{self.name}: weights do not fall with the distance of centroids (score {score:.1f}; as if shuffled): "
                "rows and regions may be in different orders; if they are not, load it with check_order off"
            )
        return float(score)

    def subset(self, rows: Sequence[int] | NDArray[np.intp], name: str | None = None) -> Connectome:
        """Return the connectome of some of the regions, in the order given."""
        kept = np.asarray(rows, dtype=np.intp)
        return Connectome(
            name=self.name if name is None else name,
            weights=self.weights[np.ix_(kept, kept)],
            regions=self.regions.subset(kept),
            lengths=None if self.lengths is None else self.lengths[np.ix_(kept, kept)],
            source=self.source,
        )

    def with_weights(self, weights: ArrayLike, name: str) -> Connectome:
        """Return the same regions and lengths with other weights, under another name."""
        return replace(self, weights=np.asarray(weights, dtype=float), name=name)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that a simulation can depend on (not name and source), 64 hexadecimal digits."""
        digest = hashlib.sha256()
        parts: dict[str, Any] = {
            "names": "\0".join(self.regions.names).encode(),
            "hemispheres": "\0".join(self.regions.hemispheres).encode(),
            "networks": "\0".join(self.regions.networks).encode(),
            "cortical": self.regions.cortical.tobytes(),
            "centroids": b"" if self.regions.centroids is None else self.regions.centroids.tobytes(),
            "weights": self.weights.tobytes(),
            "lengths": b"" if self.lengths is None else self.lengths.tobytes(),
            **{f"map:{name}": values.tobytes() for name, values in sorted(self.regions.maps.items())},
            **{f"set:{name}": repr(members).encode() for name, members in sorted(self.regions.sets.items())},
        }
        for name, content in parts.items():
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()
