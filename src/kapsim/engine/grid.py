"""One time grid for everybody in a run: fine after an edge, coarse far from it, no edge inside a step.

Times are counted in ticks of 1/16 minute, so that steps of 2^k ticks meet every edge exactly and only a dozen
different step sizes occur: each needs its matrices once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TICKS_PER_HOUR = 16 * 60


@dataclass(frozen=True)
class Resolution:
    """How fine the grid is.

    Parameters
    ----------
    sharp, soft : int
        Step right after a sharp edge (a dose starts or ends) and after a soft one (a session, a stressor), in ticks.
    growth : int
        A step is at most the time since the edge divided by this.
    largest : int
        Largest step, in ticks.
    block : int
        The number of steps is filled up to a multiple of this with steps of length zero, so that a new protocol rarely
        needs a new program; 0 is the solver's usual block.
    """

    sharp: int = 1
    soft: int = 16
    growth: int = 32
    largest: int = 2048
    block: int = 0

    def finer(self, factor: int) -> Resolution:
        """Return a grid `factor` (a power of two) times as fine everywhere."""
        return Resolution(
            max(self.sharp // factor, 1),
            max(self.soft // factor, 1),
            self.growth * factor,
            max(self.largest // factor, 1),
            self.block,
        )


@dataclass(frozen=True)
class Grid:
    """Nodes and steps of a run.

    Parameters
    ----------
    ticks : ndarray of int, shape (n_steps + 1,)
        Nodes.
    sizes : tuple of int
        The different step sizes, in ticks, ascending.
    size_index : ndarray of int, shape (n_steps,)
        Position of each step's size in `sizes`.
    block : int
        As in `Resolution`.
    """

    ticks: NDArray[np.int64]
    sizes: tuple[int, ...]
    size_index: NDArray[np.int64]
    block: int = 0

    @property
    def hours(self) -> NDArray[np.float64]:
        """Nodes in hours, shape (n_steps + 1,)."""
        return self.ticks / TICKS_PER_HOUR

    def nearest(self, ticks: Iterable[int]) -> NDArray[np.int64]:
        """Return the positions of the nodes nearest to `ticks`, ascending and each once."""
        wanted = np.asarray(sorted(set(ticks)), dtype=np.int64)
        right = np.clip(np.searchsorted(self.ticks, wanted), 1, len(self.ticks) - 1)
        closer_left = wanted - self.ticks[right - 1] < self.ticks[right] - wanted
        return np.unique(np.where(closer_left, right - 1, right))


def to_ticks(hours: float) -> int:
    """Return `hours` in whole ticks."""
    return round(hours * TICKS_PER_HOUR)


def build_grid(
    horizon: int, sharp: Iterable[int], soft: Iterable[int], nodes: Iterable[int], resolution: Resolution
) -> Grid:
    """Build the grid from 0 to `horizon` ticks.

    Parameters
    ----------
    horizon : int
        End, in ticks.
    sharp, soft : iterable of int
        Edges, in ticks; see `Resolution`.
    nodes : iterable of int
        Times that must be nodes but change nothing, in ticks.
    resolution : Resolution
        How fine.
    """
    sharp_set, soft_set = {0, *sharp}, set(soft)
    stops = sorted(t for t in {horizon, *sharp_set, *soft_set, *nodes} if 0 < t <= horizon)
    ticks, now, last_sharp, last_soft = [0], 0, 0, 0
    for stop in stops:
        while now < stop:
            wish = min(
                max(resolution.sharp, (now - last_sharp) // resolution.growth),
                max(resolution.soft, (now - last_soft) // resolution.growth),
                resolution.largest,
                stop - now,
            )
            now += 1 << (wish.bit_length() - 1)
            ticks.append(now)
        if stop in sharp_set:
            last_sharp = stop
        if stop in soft_set:
            last_soft = stop
    nodes_array = np.asarray(ticks, dtype=np.int64)
    sizes, size_index = np.unique(np.diff(nodes_array), return_inverse=True)
    return Grid(nodes_array, tuple(int(size) for size in sizes), size_index.astype(np.int64), resolution.block)
