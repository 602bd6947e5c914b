"""A trial run: its shards computed where a scheduler puts them, kept in a folder where one is given, put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.runs import Run, map_shards, read
from kapsim.runs.progress import Progress
from kapsim.trial.analysis import COLUMNS
from kapsim.trial.shards import TrialWork

__all__ = ["RUN_FOLDER", "run_trial", "threads_of", "together"]

#: Folder of the shards within that of a trial.
RUN_FOLDER = "run"


def run_trial(
    work: TrialWork,
    folder: Path | None = None,
    *,
    resume: bool = False,
    scheduler: str = "serial",
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, NDArray[Any]]:
    """Compute every shard of a trial and return all rows.

    Parameters
    ----------
    work : TrialWork
    folder : Path, optional
        Where shards are kept as soon as they are done; without it, in memory alone.
    resume : bool
        Go on with what the folder holds; where it holds nothing, begin.
    scheduler : str
        'serial', 'local' or the address of a cluster; see `kapsim.runs.map_shards`. What comes out is the same.
    workers : int, optional
        Processes of 'local'.
    progress : Progress, optional

    Returns
    -------
    dict of str to ndarray, shape (row,)
        In the order of the shards.

    Raises
    ------
    InputError
        Where the folder or the scheduler cannot be used.
    StoppedError
        Where Ctrl-C stopped it; what is stored stays.
    """
    work = dataclasses.replace(work, threads=threads_of(scheduler))
    if folder is None:
        done = dict(map_shards(work, range(work.shards), scheduler, workers, progress))
        return together(done[number] for number in range(work.shards))
    with Run.open(folder / RUN_FOLDER, work.identity(), work.shards, resume=resume) as run:
        run.complete(work, scheduler=scheduler, workers=workers, progress=progress)
    return together(shard.columns for shard in read(folder / RUN_FOLDER))


def threads_of(scheduler: str) -> int | None:
    """Return how many cores a shard may use: one where shards are computed side by side, else all."""
    return None if scheduler == "serial" else 1


def together(parts: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return the columns of shards one under the other."""
    kept = list(parts)
    return {name: np.concatenate([np.asarray(part[name]) for part in kept]) for name in COLUMNS}
