"""Work that costs little and shows where it was done wrong, and a process that does it and may be killed."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError, KapsimError, SolverError
from kapsim.runs import Run, local

IDENTITY: dict[str, Any] = {"design": {"arms": ["ketamine", "midazolam"], "visits": [1.0, 7.0]}, "seed": 3}


def columns(shard: int) -> dict[str, NDArray[Any]]:
    """Columns of every kind, of a length that differs between shards."""
    rows = 5 + shard % 4
    values = np.random.default_rng([7, shard]).normal(size=rows)
    values[:2] = np.nan, -0.0
    return {
        "subject": np.array([f"{shard:03d}-{row}" for row in range(rows)]),
        "visit": np.arange(rows, dtype=np.int32),
        "dv": values,
        "seen": values > 0,
    }


@dataclass(frozen=True)
class Slowly:
    """The same, in no less than so many seconds."""

    seconds: float

    def __call__(self, shard: int) -> dict[str, NDArray[Any]]:
        time.sleep(self.seconds)
        return columns(shard)


@dataclass(frozen=True)
class Marked:
    """The same, and a file in a folder for each time that it was begun."""

    folder: str
    seconds: float = 0.0

    def __call__(self, shard: int) -> dict[str, NDArray[Any]]:
        (Path(self.folder) / f"{shard}-{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(self.seconds)
        return columns(shard)


def fatal_at_two(shard: int) -> dict[str, NDArray[Any]]:
    """End the process instead of giving shard 2."""
    if shard == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return columns(shard)


def wrong_at_two(shard: int) -> dict[str, NDArray[Any]]:
    """Fail at shard 2 as a mistake in the work does."""
    return columns(shard) if shard != 2 else {"dv": np.array([1.0 / len("")])}


def refused_at_two(shard: int) -> dict[str, NDArray[Any]]:
    """Fail at shard 2 as what a person gave does."""
    if shard == 2:
        raise InputError("design.yaml: arms: there is one; a trial has two")
    return columns(shard)


def broken_at_two(shard: int) -> dict[str, NDArray[Any]]:
    """Fail at shard 2 with an error that does not survive the way between processes."""
    if shard == 2:
        raise SolverError(5, 1.5, "mood")
    return columns(shard)


def unsendable_at_two(shard: int) -> object:
    """Give something at shard 2 that does not survive that way either."""
    return (lambda: shard) if shard == 2 else shard


def squared(shard: int) -> int:
    """A result that is no table."""
    return shard * shard


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder, and a hash of what is in it."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Telling:
    """Say on standard output, a line for each, how many shards are stored."""

    def update(self, done: int, total: int) -> None:
        print(done, flush=True)

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Killing(Telling):
    """A little after each shard that is done, kill a worker, until so many were killed."""

    def __init__(self, kills: int, seed: int) -> None:
        self.killed, self._kills, self._chance = list[int](), kills, random.Random(seed)

    def update(self, done: int, total: int) -> None:
        super().update(done, total)
        threading.Timer(self._chance.uniform(0.0, 0.05), self._strike).start()

    def _strike(self) -> None:
        alive = [child.pid for child in active_children() if child.pid and child.pid not in self.killed]
        if alive and len(self.killed) < self._kills:
            victim = self._chance.choice(alive)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                self.killed.append(victim)


def main() -> int:
    """Go on with a run and leave as the command line does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("shards", type=int)
    parser.add_argument("--scheduler", default="serial")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    progress = Killing(given.kills, seed=11) if given.kills else Telling()
    if given.kills:
        # Chance may take one shard three times; that this is the end is tested elsewhere.
        local.DEATHS += given.kills
    try:
        with Run.open(given.folder, IDENTITY, given.shards, resume=True) as run:
            run.complete(Slowly(given.seconds), scheduler=given.scheduler, workers=given.workers, progress=progress)
    except KapsimError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    if isinstance(progress, Killing):
        print("killed", len(progress.killed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
