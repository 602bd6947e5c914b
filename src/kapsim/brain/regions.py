"""Regions of a parcellation: names, sides, places, networks, maps and named sets, each in the order of the matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapsim.errors import InputError
from kapsim.strict_yaml import one_line
from kapsim.units import nearest

Matrix = NDArray[np.float64]

MOST_REGIONS = 2000
#: Millimetres by which a centroid may lie across the midline from its hemisphere's side.
MIDLINE_MM = 6.0
HEMISPHERES = ("L", "R", "")


@dataclass(frozen=True, eq=False)
class Regions:
    """What is known of each region, in the order of the rows of a connectome.

    Parameters
    ----------
    names : sequence of str
        Unique, not empty; shape (R,).
    hemispheres : sequence of str, optional
        ``L``, ``R`` or nothing where it is not known.
    centroids : array_like, optional
        Positions in mm, x to the right, y forwards, z upwards (as MNI); shape (R, 3).
    networks : sequence of str, optional
        Functional network of each region, nothing where it has none.
    cortical : array_like of bool, optional
        False for subcortical regions; all cortical if left out.
    maps : mapping of str to array_like, optional
        Regional values by name, such as a receptor density, shape (R,); NaN where none was measured.
    sets : mapping of str to sequence of int, optional
        Named groups of regions by index, such as ``subgenual``.

    Raises
    ------
    InputError
        Where a part has not one item a region, or cannot be right.
    """

    names: tuple[str, ...]
    hemispheres: tuple[str, ...] = ()
    centroids: Matrix | None = None
    networks: tuple[str, ...] = ()
    cortical: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    maps: Mapping[str, Matrix] = field(default_factory=dict)
    sets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_fields(self, names=tuple(self.names))
        count = len(self.names)
        if count < 2:
            raise InputError(f"regions: {count} is too few; give at least two, each with a name")
        if count > MOST_REGIONS:
            raise InputError(
                f"regions: {count} are over the {MOST_REGIONS} that are handled; use a coarser parcellation"
            )
        seen: dict[str, int] = {}
        for index, name in enumerate(self.names):
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"regions: row {index + 1} has no name; every region needs a label")
            if name in seen:
                shown = one_line(name, 60)
                raise InputError(f"regions: {shown!r} names rows {seen[name] + 1} and {index + 1}; names are unique")
            seen[name] = index
        set_fields(self, hemispheres=self._words("hemispheres"), networks=self._words("networks"))
        for name, side in zip(self.names, self.hemispheres, strict=True):
            if side not in HEMISPHERES:
                raise InputError(f"regions: {name}: hemisphere {one_line(side, 20)!r} is neither L nor R")
        cortical = np.asarray(self.cortical)
        set_fields(
            self,
            cortical=frozen(np.ones(count, dtype=bool) if not cortical.size else cortical, (count,), "cortical", bool),
        )
        if self.centroids is not None:
            set_fields(self, centroids=frozen(self.centroids, (count, 3), "centroids"))
            self._check_centroids()
        maps = {name: frozen(values, (count,), f"map {name!r}") for name, values in self.maps.items()}
        for name, values in maps.items():
            if np.isinf(values).any():
                where = self.names[int(np.flatnonzero(np.isinf(values))[0])]
                raise InputError(
                    f"regions: {where}: map {name!r} is infinite; leave it empty where it was not measured"
                )
        sets = {name: tuple(int(index) for index in members) for name, members in self.sets.items()}
        for name, members in sets.items():
            if not members or len(set(members)) != len(members) or not all(0 <= index < count for index in members):
                raise InputError(f"regions: set {name!r} is empty, repeats a region or names one that is not there")
        set_fields(self, maps=MappingProxyType(maps), sets=MappingProxyType(sets))

    def __len__(self) -> int:
        return len(self.names)

    def _words(self, part: str) -> tuple[str, ...]:
        given = tuple(getattr(self, part)) or ("",) * len(self.names)
        if len(given) != len(self.names):
            raise InputError(f"regions: {len(given)} {part} for {len(self.names)} names; give one a region")
        return given

    def _check_centroids(self) -> None:
        assert self.centroids is not None
        if not np.isfinite(self.centroids).all():
            name = self.names[int(np.flatnonzero(~np.isfinite(self.centroids).all(axis=1))[0])]
            raise InputError(f"regions: {name}: its centroid is not a number; give x, y and z in mm")
        for name, side, x in zip(self.names, self.hemispheres, self.centroids[:, 0], strict=True):
            if (side == "L" and x > MIDLINE_MM) or (side == "R" and x < -MIDLINE_MM):
                raise InputError(
                    f"regions: {name}: hemisphere {side}, but its centroid lies at x = {x:g} mm on the other side; "
                    "labels and centroids may be in different orders"
                )

    def index(self, name: str) -> int:
        """Return the row of a region; an `InputError` names the nearest where there is none."""
        if name not in self.names:
            close = nearest(name, self.names)
            advice = f"; did you mean {close!r}?" if close else ""
            raise InputError(f"no region {one_line(name, 60)!r}{advice}")
        return self.names.index(name)

    def members(self, name: str) -> NDArray[np.intp]:
        """Return the rows of a named set, or of a network.

        Parameters
        ----------
        name : str
            A name among `sets`, or among `networks`.

        Returns
        -------
        ndarray of int
            At least one row.

        Raises
        ------
        InputError
            If there is neither; the message lists what there is.
        """
        if name in self.sets:
            return np.array(self.sets[name], dtype=np.intp)
        found = np.array(
            [index for index, network in enumerate(self.networks) if name and network == name], dtype=np.intp
        )
        if not found.size:
            known = ", ".join(dict.fromkeys([*self.sets, *filter(None, self.networks)])) or "none"
            raise InputError(f"no set of regions {one_line(name, 40)!r} in this connectome; it has: {known}")
        return found

    def map_values(self, name: str) -> Matrix:
        """Return a regional map that has a value for every region, shape (R,).

        Raises
        ------
        InputError
            If there is no such map, or some region has no value.
        """
        if name not in self.maps:
            raise InputError(
                f"no map {one_line(name, 40)!r} in this connectome; it has: {', '.join(self.maps) or 'none'}"
            )
        values = self.maps[name]
        missing = np.flatnonzero(np.isnan(values))
        if missing.size:
            raise InputError(f"map {name!r} has no value for {self.names[missing[0]]} ({missing.size} regions in all)")
        return values

    def subset(self, rows: Sequence[int] | NDArray[np.intp]) -> Regions:
        """Return some of the regions, in the order given; sets keep the members that are left."""
        kept = [int(row) for row in rows]
        place = {row: new for new, row in enumerate(kept)}
        sets = {name: tuple(place[row] for row in old if row in place) for name, old in self.sets.items()}
        return Regions(
            names=tuple(self.names[row] for row in kept),
            hemispheres=tuple(self.hemispheres[row] for row in kept),
            centroids=None if self.centroids is None else self.centroids[kept],
            networks=tuple(self.networks[row] for row in kept),
            cortical=self.cortical[kept],
            maps={name: values[kept] for name, values in self.maps.items()},
            sets={name: members for name, members in sets.items() if members},
        )


def set_fields(instance: object, **values: object) -> None:
    """Set fields of a frozen instance while it is made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def frozen(values: ArrayLike, shape: tuple[int, ...], what: str, kind: type = float) -> NDArray[Any]:
    """Return a contiguous copy that cannot be written to, of the shape it must have."""
    try:
        array: NDArray[Any] = np.array(values, dtype=kind, order="C")
    except (TypeError, ValueError):
        raise InputError(f"{what}: is not an array of numbers") from None
    if array.shape != shape:
        wanted, found = (" x ".join(map(str, size)) or "one number" for size in (shape, array.shape))
        raise InputError(f"{what}: has the shape {found}, but {shape[0]} regions need {wanted}")
    array.setflags(write=False)
    return array
