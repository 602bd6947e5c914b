"""Shards in processes on this machine, each of which may die at any time.

Every process has a pipe of its own and shares no lock with the others: that is what the pools of the standard library
lack, where one process that is killed while it holds the lock of the common queue stops them all. Processes are
spawned, not forked, since numerical libraries do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, final

from kapsim.errors import RunError
from kapsim.runs.work import Done, Failed, attempt, outcome

T = TypeVar("T")

#: How many workers a shard may cost before it is given up, and how many may end in a row before one has begun.
DEATHS, FALSE_STARTS = 3, 10
#: Processes are what runs side by side here: threads within each would only get in each other's way. Set before the
#: numerical libraries load, and only where a person has not said otherwise.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
_READY = -1
_PATIENCE_S = 2.0


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compute_locally(
    compute: Callable[[int], T], shards: tuple[int, ...], workers: int | None = None
) -> Generator[tuple[int, T], None, None]:
    """Compute shards in processes beside this one.

    Parameters
    ----------
    compute : callable
    shards : tuple of int
    workers : int, optional
        By default one for each core that this process may use.

    Yields
    ------
    tuple of int and T
        Number and result, in the order in which they are ready.

    Raises
    ------
    RunError
        If the work cannot be sent, fails, or ends its worker three times.
    """
    try:
        work = pickle.dumps(compute)
    except Exception as error:
        raise RunError(
            f"the work cannot be sent to other processes ({' '.join(str(error).split())}); "
            "give a function of a module, or the serial scheduler"
        ) from error
    crew = _Crew(work, shards, min(workers or usable_cores(), len(shards)))
    try:
        for shard, result in crew.results():
            yield shard, outcome(shard, result)
    finally:
        crew.dismiss()


class _Worker:
    """A process, its pipe, and the shard that it has."""

    def __init__(self, work: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, work), daemon=True)
        try:
            self.process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            # Only the worker holds that end now, so that its death closes the pipe.
            theirs.close()
        self.ready = False
        self.shard: int | None = None

    def end(self) -> int | None:
        """Make sure that the process is gone; returns how it ended."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(_PATIENCE_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        return self.process.exitcode


@final
class _Crew:
    """The workers, and what is left to do."""

    def __init__(self, work: bytes, shards: tuple[int, ...], size: int) -> None:
        self._work, self._size = work, size
        self._waiting, self._left = deque(shards), len(shards)
        self._workers: list[_Worker] = []
        self._deaths: Counter[int] = Counter()
        self._false_starts = 0

    def results(self) -> Generator[tuple[int, Done[Any] | Failed], None, None]:
        """Yield what the workers send until all shards are there."""
        while self._left:
            while len(self._workers) < min(self._size, self._left):
                self._workers.append(_Worker(self._work))
            ready = connection.wait([worker.pipe for worker in self._workers])
            for worker in [worker for worker in self._workers if worker.pipe in ready]:
                try:
                    shard, result = worker.pipe.recv()
                except (EOFError, OSError):
                    self._bury(worker)
                    continue
                if isinstance(result, Failed) and shard == _READY:
                    raise RunError(
                        f"the work cannot be read in another process ({result.reason}); "
                        "give a function of a module, or the serial scheduler"
                    )
                worker.ready, worker.shard, self._false_starts = True, None, 0
                # The next shard before this result: the worker goes on while it is stored.
                self._assign(worker)
                if shard != _READY:
                    self._left -= 1
                    yield shard, result

    def _assign(self, worker: _Worker) -> None:
        if self._waiting:
            worker.shard = self._waiting.popleft()
            try:
                worker.pipe.send(worker.shard)
            except OSError:
                # It died meanwhile; its pipe says so when it is next looked at.
                return

    def _bury(self, worker: _Worker) -> None:
        """Take a worker that died out of the crew, and its shard back."""
        self._workers.remove(worker)
        ended = _ending(worker.end())
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS:
                raise RunError(
                    f"no worker process could start ({ended}, {FALSE_STARTS} times in a row); a script that starts "
                    "workers keeps its own work under `if __name__ == '__main__':`"
                )
        if worker.shard is not None:
            self._deaths[worker.shard] += 1
            if self._deaths[worker.shard] >= DEATHS:
                raise RunError(
                    f"shard {worker.shard}: its worker died {DEATHS} times ({ended}); where memory ran out, "
                    "take smaller shards or fewer workers"
                )
            self._waiting.appendleft(worker.shard)

    def dismiss(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"ended by signal {-code}"
    return f"ended with status {code}"


def _serve(pipe: Connection[Any, Any], work: bytes) -> None:
    """Compute what the pipe asks for, until it closes; runs in the worker."""
    # Ctrl-C goes to all processes of a terminal; what becomes of the workers is for the first of them to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    try:
        try:
            compute: Callable[[int], object] = pickle.loads(work)
        except Exception as error:
            pipe.send((_READY, Failed.of(error)))
            return
        pipe.send((_READY, None))
        while True:
            shard = pipe.recv()
            result = attempt(compute, shard)
            try:
                pipe.send((shard, result))
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                pipe.send((shard, Failed.of(error)))
    except (EOFError, OSError):
        return


def _follow_parent() -> None:
    """End with the process that started this one, however that ends: nobody is left to take the result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
