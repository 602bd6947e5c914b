"""Being stopped on purpose: Ctrl-C and SIGTERM take effect at once, but never within the storing of a shard."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import final

#: What stops a run in good order.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(BaseException):
    """A signal asked the run to stop; no `except Exception` of the work that is going on may swallow it.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


@final
class Holding:
    """Tells the handler of signals whether it may stop the run here."""

    def __init__(self) -> None:
        self._held = False
        self._pending: int | None = None
        self._stopped = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Put off what arrives until the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending is not None:
            self._stop(self._pending)

    def arrive(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._held:
            self._pending = number
        else:
            self._stop(number)

    def _stop(self, number: int) -> None:
        # Once is enough: a second one would break into the clearing up, which takes a few seconds at most.
        if not self._stopped:
            self._stopped = True
            raise Stop(number)


@contextlib.contextmanager
def stoppable() -> Iterator[Holding]:
    """Let the signals of `SIGNALS` raise `Stop` in the block.

    Signals that this process was told to ignore stay ignored. Outside the main thread, which alone may handle signals,
    they do what they did before.
    """
    holding = Holding()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, holding.arrive)
    try:
        yield holding
    finally:
        for number, handler in before.items():
            # None: it was not set from Python, and cannot be given back from there.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
