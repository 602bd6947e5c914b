"""A scheduler and workers of Dask on this machine, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


@contextlib.contextmanager
def started(*command: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a program of Dask's and wait for a line of its log; yields it with what the line said."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    going = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "dask", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        assert going.stderr is not None
        for line in going.stderr:
            if found := re.search(until, line):
                break
        else:
            pytest.fail(f"dask {command[0]} did not start")
        yield going, found.group(1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(going.pid, signal.SIGKILL)
        going.communicate()


def scheduler() -> contextlib.AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """Start a scheduler on loopback; yields it with its address."""
    return started(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", until=r"Scheduler at:\s+(tcp://\S+)"
    )


def worker(address: str, place: Path) -> contextlib.AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """Start a worker of that scheduler, its files in `place`."""
    options = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--death-timeout", "30", "--host", "127.0.0.1"]
    options += ["--local-directory", str(place)]
    return started("worker", address, *options, until=r"Registered to:\s+(tcp://\S+)")
