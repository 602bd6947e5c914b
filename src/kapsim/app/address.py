"""The state of the course page as the query of an address, and back: a link reproduces a view."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from kapsim.app.controls import FIRST, NAMES, TREATMENT, Controls, checked, preset_controls
from kapsim.errors import InputError
from kapsim.strict_yaml import one_line

Window = Literal["weeks", "hours"]
WINDOWS = get_args(Window)

#: Longest query that is read, and the most values in it.
MOST_CHARACTERS, MOST_VALUES = 4000, 2 * len(NAMES) + 4
#: Before the names of the second course.
_SECOND = "b."


@dataclass(frozen=True)
class View:
    """What the course page shows.

    Parameters
    ----------
    course : Controls
    other : Controls or None
        The course it is compared with.
    window : {"weeks", "hours"}
        The whole course, or the hours around the first dose.
    """

    course: Controls
    other: Controls | None = None
    window: Window = "weeks"


def written(view: View) -> str:
    """Return a view as a query without its question mark: what is as in the preset is left out."""
    pairs = _pairs(view.course, "")
    if view.other is not None:
        pairs += _pairs(view.other, _SECOND)
    if view.window != "weeks":
        pairs.append(("window", view.window))
    return urlencode(pairs)


def _pairs(controls: Controls, prefix: str) -> list[tuple[str, str]]:
    usual = preset_controls(controls.preset)
    pairs = [(f"{prefix}preset", controls.preset)]
    for name in NAMES:
        value = getattr(controls, name)
        if name != "preset" and value != getattr(usual, name):
            pairs.append((prefix + name, _text(value)))
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


def read(query: str) -> View:
    """Return the view of a query.

    Raises
    ------
    InputError
        For a name that is unknown or stands twice, or a value that cannot be.
    """
    if len(query) > MOST_CHARACTERS:
        raise InputError(f"address: longer than {MOST_CHARACTERS} characters; copy the link again")
    try:
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True, max_num_fields=MOST_VALUES, errors="strict")
    except ValueError:
        raise InputError("address: cannot be read; copy the link again") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise InputError(f"address: '{one_line(name, 40)}' stands twice; keep one")
        given[name] = value
    window = given.pop("window", "weeks")
    if window not in WINDOWS:
        raise InputError(f"address: no window '{one_line(window, 40)}'; {' or '.join(WINDOWS)}")
    second = {name.removeprefix(_SECOND): given.pop(name) for name in list(given) if name.startswith(_SECOND)}
    return View(_controls(given, FIRST), _controls(second, FIRST) if second else None, typing.cast("Window", window))


def _controls(given: Mapping[str, str], first: str) -> Controls:
    values: dict[str, Any] = {"preset": given.get("preset", first)}
    base = preset_controls(checked(values).preset)
    for name, text in given.items():
        if name not in NAMES:
            raise InputError(f"address: nothing is called '{one_line(name, 40)}'; copy the link again")
        if name != "preset":
            values[name] = _value(name, text)
    return checked({**base.model_dump(), **values})


def _value(name: str, text: str) -> Any:
    """Return a value of the type that the control has; text that is no number stays text, which `checked` refuses."""
    kind = Controls.model_fields[name].annotation
    choices = get_args(kind) if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union else ()
    if type(None) in choices and text == "":
        return None
    if name == "others":
        return tuple(part for part in text.split(",") if part)
    if kind is bool:
        return {"1": True, "0": False}.get(text, text)
    try:
        if kind is int:
            return int(text)
        if kind is float or any(item is float for item in choices) or type(None) in choices:
            return float(text)
    except ValueError:
        return text
    return text


def treatment_changed(view: View) -> tuple[str, ...]:
    """Return the treatment's controls that stand otherwise than in the preset."""
    usual = preset_controls(view.course.preset)
    return tuple(name for name in TREATMENT if getattr(view.course, name) != getattr(usual, name))
