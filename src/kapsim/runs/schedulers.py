"""Where shards are computed: in this process, in processes beside it, or on a cluster; never which result they give."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from kapsim.errors import InputError
from kapsim.runs.progress import Progress, Quiet
from kapsim.runs.work import attempt, outcome

T = TypeVar("T")

#: What a scheduler may be called; an address names a cluster.
LOCAL, SERIAL = "local", "serial"
ADDRESSES = ("tcp://", "tls://")


def check_scheduler(scheduler: str, workers: int | None) -> None:
    """Raise where no scheduler is meant, before any work.

    Raises
    ------
    InputError
    """
    address = scheduler.startswith(ADDRESSES)
    if scheduler not in (LOCAL, SERIAL) and not address:
        raise InputError(
            f"--scheduler: {scheduler!r} is unknown; give local, serial, or an address like tcp://host:8786"
        )
    if workers is not None and workers < 1:
        raise InputError(f"--workers: {workers} is too few; give 1 or more")
    if workers is not None and scheduler != LOCAL:
        raise InputError(f"--workers: is for the local scheduler; {scheduler} has its own")
    if address:
        from kapsim.runs.cluster import check_extra

        check_extra()


def map_shards(
    compute: Callable[[int], T],
    shards: Iterable[int],
    scheduler: str = LOCAL,
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    before: int = 0,
) -> Generator[tuple[int, T], None, None]:
    """Compute shards wherever the scheduler puts them.

    Parameters
    ----------
    compute : callable
        A pure function of the shard's number. Unless the scheduler is ``serial``, it is sent to other processes: a
        function of a module, or an instance of a class of a module whose fields can be pickled.
    shards : iterable of int
    scheduler : str
        ``local``: processes on this machine. ``serial``: this process. ``tcp://host:port`` or ``tls://host:port``: the
        scheduler of a Dask cluster.
    workers : int, optional
        Processes of ``local``; by default one for each core that this process may use.
    progress : Progress, optional
        A shard counts once the caller has come back for the next.
    before : int, optional
        Shards that were finished earlier and count as well.

    Yields
    ------
    tuple of int and T
        Number and result of each shard, in the order in which they are ready.

    Raises
    ------
    InputError
        If the scheduler is unknown, cannot be reached, or needs what is not installed.
    RunError
        If the work of a shard fails, or ends its worker again and again.
    """
    check_scheduler(scheduler, workers)
    asked, told = tuple(shards), progress or Quiet()
    total, done = before + len(asked), before
    told.update(done, total)
    with contextlib.closing(_computed(compute, asked, scheduler, workers, told)) as computed:
        for item in computed:
            yield item
            done += 1
            told.update(done, total)


def _computed(
    compute: Callable[[int], T], shards: tuple[int, ...], scheduler: str, workers: int | None, told: Progress
) -> Generator[tuple[int, T], None, None]:
    if not shards:
        return
    if scheduler == SERIAL:
        for shard in shards:
            yield shard, outcome(shard, attempt(compute, shard))
    elif scheduler == LOCAL:
        from kapsim.runs.local import compute_locally

        yield from compute_locally(compute, shards, workers)
    else:
        from kapsim.runs.cluster import compute_on_cluster

        yield from compute_on_cluster(compute, shards, scheduler, told.note)
