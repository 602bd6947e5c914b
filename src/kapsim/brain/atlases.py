"""The connectomes that are shipped, by name, and the functional connectivity that was measured beside them.

Group averages of young adults of the Human Connectome Project, under its terms (`data/README.md`): never MIT.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.connectome_files import read_regions
from kapsim.brain.matrix_files import csv_matrix, read_bytes
from kapsim.brain.region_sets import NODES, mostly_default, network_sets
from kapsim.brain.regions import Regions
from kapsim.errors import InputError
from kapsim.strict_yaml import one_line
from kapsim.units import nearest

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Atlas:
    """A shipped connectome: its files, and what is to be known of them.

    Attributes
    ----------
    title : str
    folder : str
        Under ``data/``.
    weights, lengths, connectivity : str
        File names; a name with ``_log`` holds natural logarithms with 0 for none, one with ``_z`` Fisher's z.
    holdout : str or None
        Functional connectivity of other people, where there is any.
    nodes : str
        Which table of `region_sets.NODES` applies.
    regions : int or None
        Only the first so many rows, where not all.
    measured_lengths : bool
        Whether lengths were measured, or estimated from distance.
    """

    title: str
    folder: str
    nodes: str
    weights: str = "weights_log.csv"
    lengths: str = "lengths_estimated.csv"
    connectivity: str = "fc_z.csv"
    holdout: str | None = None
    regions: int | None = None
    measured_lengths: bool = False


ATLASES: Mapping[str, Atlas] = {
    "dk68": Atlas("Desikan-Killiany, 68 cortical regions", "dk82", nodes="dk", regions=68),
    "dk82": Atlas("Desikan-Killiany, 68 cortical and 14 subcortical regions", "dk82", nodes="dk"),
    "schaefer100": Atlas(
        "Schaefer, 100 cortical regions, measured lengths",
        "schaefer100",
        weights="weights.csv",
        lengths="lengths.csv",
        connectivity="fc.csv",
        nodes="schaefer100",
        holdout="fc_holdout.csv",
        measured_lengths=True,
    ),
    "schaefer200": Atlas(
        "Schaefer, 200 cortical regions, subgenual cingulate a region of its own",
        "schaefer200",
        nodes="schaefer200",
    ),
}
"""Shipped connectomes by name."""

DEFAULT = "dk68"


def load_atlas(name: str = DEFAULT) -> Connectome:
    """Return a shipped connectome.

    Parameters
    ----------
    name : str
        One of `ATLASES`.

    Returns
    -------
    Connectome
        Weights are streamline counts (of `dk68`, `dk82` and `schaefer200` the exponential of the logarithms that are
        stored); sets are those of `region_sets`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return _load(_known(name))


def empirical_connectivity(name: str = DEFAULT, *, holdout: bool = False) -> NDArray[np.float64]:
    """Return the measured functional connectivity of a shipped connectome.

    Parameters
    ----------
    name : str
        One of `ATLASES`.
    holdout : bool
        That of other people, on whom nothing was fitted; only `schaefer100` has it.

    Returns
    -------
    ndarray of float
        Pearson correlations at rest, no global signal removed, diagonal 1; shape (R, R). Those of `dk68`, `dk82` and
        `schaefer200` had their negative values set to 0 by the source.

    Raises
    ------
    InputError
        If there is no such connectome, or no second measurement.
    """
    atlas = ATLASES[_known(name)]
    file = atlas.holdout if holdout else atlas.connectivity
    if file is None:
        second = ", ".join(key for key, item in ATLASES.items() if item.holdout)
        raise InputError(f"{name}: has no second functional connectivity; {second} has")
    values = _matrix(atlas, file)
    if "_z" in file:
        values = np.tanh(values)
    np.fill_diagonal(values, 1.0)
    return values


def _known(name: str) -> str:
    if name not in ATLASES:
        close = nearest(name, ATLASES)
        advice = f"; did you mean {close!r}?" if close else f"; there are {', '.join(ATLASES)}"
        raise InputError(f"no shipped connectome {one_line(name, 40)!r}{advice}")
    return name


@functools.cache
def _load(name: str) -> Connectome:
    atlas = ATLASES[name]
    weights = _matrix(atlas, atlas.weights)
    if "_log" in atlas.weights:
        weights = np.where(weights > 0.0, np.exp(weights), 0.0)
    regions = read_regions(read_bytes(DATA / atlas.folder / "regions.csv"), f"{atlas.folder}/regions.csv", ("yeo17",))
    if atlas.regions is not None:
        regions = regions.subset(range(atlas.regions))
    return Connectome(name, weights, _with_sets(regions, atlas), _matrix(atlas, atlas.lengths), source=atlas.title)


def _with_sets(regions: Regions, atlas: Atlas) -> Regions:
    sets = network_sets(regions.networks)
    if atlas.nodes == "dk":
        sets["default"] = mostly_default(regions.names, regions.maps["default_share"], regions.maps["vertices"])
    sets |= {name: tuple(map(regions.index, members)) for name, members in NODES[atlas.nodes].items()}
    return replace(regions, sets=sets, cortical=np.array([network != "Subcortex" for network in regions.networks]))


def _matrix(atlas: Atlas, file: str) -> NDArray[np.float64]:
    values = csv_matrix(read_bytes(DATA / atlas.folder / file), f"{atlas.folder}/{file}").values
    return values if atlas.regions is None else values[: atlas.regions, : atlas.regions].copy()
