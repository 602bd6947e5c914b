"""One shard's work wherever it is done: what it gives, or in words why it failed."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kapsim.errors import KapsimError, RunError
from kapsim.runs.columns import Compute, EncodedShard, encode

T = TypeVar("T")


@dataclass(frozen=True)
class Done(Generic[T]):
    """What the work of a shard gave."""

    value: T


@dataclass(frozen=True)
class Failed:
    """Why the work of a shard failed, in words: errors themselves do not all survive the way between processes.

    Parameters
    ----------
    reason : str
        One line.
    trace : str
        Where it happened, for who wrote the work.
    exit_status : int
    """

    reason: str
    trace: str
    exit_status: int

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """Return the words for an error."""
        told = " ".join(str(error).split())
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, KapsimError):
            return cls(told, trace, error.exit_status)
        frames = traceback.extract_tb(error.__traceback__)
        where = f" (line {frames[-1].lineno} of {frames[-1].name})" if frames else ""
        return cls(f"{type(error).__name__}: {told}{where}", trace, 1)


class WorkerTrace(Exception):  # noqa: N818 - it is no error of its own
    """Where it happened in another process; shown as the cause of the error that is raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def attempt(compute: Callable[[int], T], shard: int) -> Done[T] | Failed:
    """Do the work of a shard; an error becomes words."""
    try:
        return Done(compute(shard))
    except Exception as error:
        return Failed.of(error)


def outcome(shard: int, result: Done[T] | Failed) -> T:
    """Return what a shard gave.

    Raises
    ------
    RunError
        If it failed.
    """
    if isinstance(result, Failed):
        raise RunError(f"shard {shard}: {result.reason}", result.exit_status) from WorkerTrace(result.trace)
    return result.value


@dataclass(frozen=True)
class Encoding:
    """The work of a run's shards, whose columns become the bytes of a file where they were computed.

    Parameters
    ----------
    compute : callable
        From the number of a shard to its columns.
    run : str
        Digest of the run's header.
    writer : str
        Version of pyarrow; another one would write other bytes.
    """

    compute: Compute
    run: str
    writer: str

    @classmethod
    def here(cls, compute: Compute, run: str) -> Encoding:
        """Return the work for the version of pyarrow that is installed here."""
        import pyarrow as pa

        return cls(compute, run, pa.__version__)

    def __call__(self, shard: int) -> EncodedShard:
        """Compute a shard and encode it."""
        import pyarrow as pa

        if pa.__version__ != self.writer:
            raise RunError(
                f"a worker has pyarrow {pa.__version__} and this process {self.writer}; install the same on both"
            )
        return encode(shard, self.compute(shard), self.run)
