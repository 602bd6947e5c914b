"""Shards on a Dask cluster: whoever runs the scheduler may add and lose workers at any time.

Files are written by this process alone, so the workers need no disk in common with it.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar
from uuid import uuid4

from kapsim.errors import InputError, RunError
from kapsim.runs.work import attempt, outcome

T = TypeVar("T")

#: Shards that are sent ahead for each thread of the cluster, so that none waits for this process.
_AHEAD = 2
#: How often the client is started before it is given up.
_STARTS = 3
#: Seconds to wait for the scheduler, between two looks at the cluster, and to part from it.
_PATIENCE_S, _LOOK_S, _PARTING_S = 15.0, 1.0, 5.0


def check_extra() -> None:
    """Raise where Dask is not installed.

    Raises
    ------
    InputError
    """
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise InputError("a cluster needs dask and distributed: pip install 'kapsim[dask]'")


def compute_on_cluster(
    compute: Callable[[int], T], shards: tuple[int, ...], address: str, note: Callable[[str], None]
) -> Generator[tuple[int, T], None, None]:
    """Compute shards on the workers of a Dask scheduler.

    Parameters
    ----------
    compute : callable
        kapsim must be installed on the workers, in the same version as here.
    shards : tuple of int
    address : str
        Such as ``tcp://host:8786``.
    note : callable
        Called with what a person should know.

    Yields
    ------
    tuple of int and T
        Number and result, in the order in which they are ready.

    Raises
    ------
    InputError
        If there is no scheduler at the address.
    RunError
        If it goes away, or the work of a shard fails or costs too many workers.
    """
    check_extra()
    client = _client(address)
    try:
        with _unheard():
            yield from _results(client, compute, shards, address, note)
    finally:
        # A scheduler that is gone must not keep this process.
        with contextlib.suppress(Exception):
            client.close(timeout=_PARTING_S)


def _client(address: str) -> Any:
    from distributed import Client

    for _ in range(_STARTS):
        try:
            return Client(address, timeout=_PATIENCE_S, set_as_default=False, name="kapsim")
        except AssertionError:
            # Dask gives its own thread ten seconds to start, and asserts that it did: a busy machine may need longer.
            words = None
        except (OSError, ValueError, TypeError, ImportError) as error:
            words = _words(error)
        # A client that failed closes when it is collected, and waits for itself if that is while another one starts.
        gc.collect()
        if words is not None:
            raise InputError(
                f"--scheduler: {address}: no scheduler answers ({words}); start one with `dask scheduler`, or give its "
                "address"
            )
    raise RunError(f"{address}: Dask could not start here; the machine is too busy, try again")


def _results(
    client: Any, compute: Callable[[int], T], shards: tuple[int, ...], address: str, note: Callable[[str], None]
) -> Generator[tuple[int, T], None, None]:
    from distributed import wait

    waiting, sent = deque(shards), dict[Any, int]()
    run, looked, room, alone = uuid4().hex, -_LOOK_S, 1, False
    while waiting or sent:
        now = time.monotonic()
        if now - looked >= _LOOK_S:
            looked, threads = now, _threads(client, address)
            if threads == 0 and not alone:
                note(f"{address}: has no workers; waiting for some")
            room, alone = max(1, _AHEAD * threads), threads == 0
        while waiting and len(sent) < room:
            shard = waiting.popleft()
            # Every key is new: what another run left on the cluster is none of this one's.
            sent[client.submit(attempt, compute, shard, key=f"shard-{shard}-{run}", pure=False)] = shard
        try:
            with client.as_current():
                wait(list(sent), timeout=_LOOK_S, return_when="FIRST_COMPLETED")
        except TimeoutError:
            continue
        except Exception:
            # What the loss of the scheduler leads to has no end of kinds; to the reader it is one thing.
            raise _gone(address) from None
        for future in [future for future in sent if future.status != "pending"]:
            shard = sent.pop(future)
            yield shard, outcome(shard, _gathered(future, shard, address))
            del future


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Keep Dask's own account of a lost scheduler, a page long, from a person who is told in one line."""
    log = logging.getLogger("distributed.client")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _threads(client: Any, address: str) -> int:
    """Return how many shards the cluster can compute at a time."""
    if client.status != "running":
        raise _gone(address)
    try:
        return sum(client.nthreads().values())
    except Exception:
        raise _gone(address) from None


def _gathered(future: Any, shard: int, address: str) -> Any:
    from distributed import KilledWorker

    if future.status in ("cancelled", "lost"):
        raise _gone(address)
    try:
        return future.result(timeout=_PATIENCE_S * 20)
    except KilledWorker:
        raise RunError(
            f"shard {shard}: its workers died again and again; where memory ran out, take smaller shards or give the "
            "workers more"
        ) from None
    except Exception as error:
        raise RunError(
            f"shard {shard}: a worker cannot take the work ({_words(error)}); install the same version of kapsim there"
        ) from error


def _gone(address: str) -> RunError:
    return RunError(f"{address}: the scheduler is gone; start it again")


def _words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
