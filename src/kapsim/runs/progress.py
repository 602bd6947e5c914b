"""How far a run is: a bar with rate and time left where a person is looking, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

#: Seconds between two plain lines.
INTERVAL_S = 30.0


class Progress(Protocol):
    """What is told while a run goes on."""

    def update(self, done: int, total: int) -> None:
        """Say how many shards are stored, of how many; the first call comes before any is computed."""

    def note(self, text: str) -> None:
        """Say something that a person should know, in one line."""


class Quiet:
    """Nothing is shown."""

    def update(self, done: int, total: int) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


class Pace:
    """Rate and time left, from what was done since the beginning of this run.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    each : int
        How many of them are in a shard.
    clock : callable
        Seconds.
    """

    def __init__(self, unit: str, each: int, clock: Callable[[], float]) -> None:
        self._unit, self._each, self._clock = unit, each, clock
        self._begun: tuple[float, int] | None = None

    def text(self, done: int, total: int) -> str:
        """Return how far it is, in words."""
        now = self._clock()
        if self._begun is None:
            self._begun = now, done
        began, before = self._begun
        told = f"{done * self._each:,} of {total * self._each:,} {self._unit}"
        if done <= before or now <= began:
            return told
        rate = (done - before) / (now - began)
        left = f", {_duration((total - done) / rate)} left" if done < total else ""
        return f"{told}, {_rate(rate * self._each)}{left}"


class _Bar:
    def __init__(self, unit: str, each: int, show: Callable[[int, int, str], None], say: Callable[[str], None]) -> None:
        self._pace, self._show, self._say = Pace(unit, each, time.monotonic), show, say

    def update(self, done: int, total: int) -> None:
        self._show(done, total, self._pace.text(done, total))

    def note(self, text: str) -> None:
        self._say(text)


class Lines:
    """Plain lines, at most one in `INTERVAL_S` and one at the end.

    Parameters
    ----------
    stream : text stream
    unit : str
    each : int
    clock : callable
        Seconds.
    """

    def __init__(self, stream: TextIO, unit: str, each: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._pace, self._clock = stream, Pace(unit, each, clock), clock
        self._due: float | None = None

    def update(self, done: int, total: int) -> None:
        """Print a line where one is due."""
        now, text = self._clock(), self._pace.text(done, total)
        if self._due is None:
            self._due = now + INTERVAL_S
        if now >= self._due or done == total:
            self._due = now + INTERVAL_S
            self.note(text)

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)


@contextlib.contextmanager
def shown(unit: str = "shards", each: int = 1) -> Iterator[Progress]:
    """Show on standard error how far a run is.

    Parameters
    ----------
    unit : str, optional
        What is counted, in the plural, such as replicates or patients.
    each : int, optional
        How many of them are in a shard.

    Yields
    ------
    Progress
        For `Run.complete` or `map_shards`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(sys.stderr, unit, each)
        return
    text = TextColumn("{task.description}", markup=False)
    with RichProgress(BarColumn(bar_width=24), text, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def show(done: int, total: int, told: str) -> None:
            progress.update(task, completed=done, total=total, description=told)

        def say(told: str) -> None:
            console.print(told, markup=False, highlight=False)

        yield _Bar(unit, each, show, say)


def _rate(per_second: float) -> str:
    for factor, unit in ((1.0, "a second"), (60.0, "a minute")):
        if per_second * factor >= 1.0:
            return f"{per_second * factor:,.3g} {unit}" if per_second < 1000 else f"{per_second:,.0f} {unit}"
    return f"{per_second * 3600.0:.3g} an hour"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
