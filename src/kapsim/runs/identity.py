"""What tells two runs apart, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN, _LONGEST = 4, 40


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in what two records differ.

    Parameters
    ----------
    then, now : mapping
        As JSON holds them.

    Returns
    -------
    str
        Keys with both values, the first few of them; keys within keys are joined by dots.
    """
    before, after = dict(_flat(then)), dict(_flat(now))
    keys = [*before, *(key for key in after if key not in before)]
    changed = [key for key in keys if before.get(key, _NONE) != after.get(key, _NONE)]
    told = [f"{key}: {_short(before.get(key, _NONE))} there, {_short(after.get(key, _NONE))} here" for key in changed]
    more = len(told) - _SHOWN
    return "; ".join(told[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


class _None:
    def __repr__(self) -> str:
        return "nothing"


_NONE = _None()


def _flat(content: Mapping[str, Any], head: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in content.items():
        inner = _flat(value, f"{head}{key}.") if isinstance(value, Mapping) and value else [(f"{head}{key}", value)]
        flat += inner
    return flat


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
