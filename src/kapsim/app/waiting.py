"""What a page does about an answer that takes its time: it begins, looks again, and shows what is there."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from dash import no_update

from kapsim.app import parts
from kapsim.app.solving import BusyError, Desk
from kapsim.errors import KapsimError

Found = TypeVar("Found")


class Look(NamedTuple):
    """What a page shows, what it says of it, and whether it need not look again."""

    shown: Any
    said: str
    settled: bool


def look(
    desk: Desk, key: Hashable, work: Callable[[], Found], show: Callable[[Found], Any], *, busy: str, ready: str
) -> Look:
    """Return what there is of the answer to `key` by now, without waiting for it.

    Parameters
    ----------
    desk : Desk
    key : hashable
    work : callable
        Works the answer out.
    show : callable
        Makes of the answer what the page shows.
    busy, ready : str
        What is said while there is none yet, and of one that is there.
    """
    try:
        future = desk.begin(key, work)
        if not future.done():
            return Look(no_update, busy, settled=False)
        return Look(show(future.result()), ready, settled=True)
    except KapsimError as error:
        return Look(parts.notice(str(error)), "", settled=not isinstance(error, BusyError))
