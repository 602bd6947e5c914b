"""Field types of the evidence files: strict, with one clear message each."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator

from kapsim.errors import InputError
from kapsim.units import dimension, nearest

ID = re.compile(r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*")
PAIRS = frozenset({"ci95", "ci90", "cri95", "iqr", "range"})
"""Kinds of spread that are a lower and an upper end."""


class Model(BaseModel):
    """Base of all records: frozen, no unknown keys, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number and not a truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # a whole number may be too large for a float, which then has no finite value
    return abs(value) <= sys.float_info.max


def number(low: float | None = None, high: float | None = None, *, null: bool = False) -> PlainValidator:
    """Validator of a finite number within bounds, or null where that is allowed."""

    def check(value: Any) -> Any:
        if value is None and null:
            return None
        if not is_number(value):
            raise ValueError(f"is not a number: {value!r}")
        if (low is not None and value < low) or (high is not None and value > high):
            ends = (
                f"{low:g} or more" if high is None else f"{high:g} or less" if low is None else f"{low:g} to {high:g}"
            )
            raise ValueError(f"is out of range: {value}; {ends}")
        return value

    return PlainValidator(check)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"is not a text: {value!r}")
    return value


def _text_or_null(value: Any) -> str | None:
    return None if value is None else _text(value)


def _note(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"is not a text: {value!r}")
    return value


def _identity(value: Any) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise ValueError(f"is not dotted lower case: {value!r}")
    return value


def _unit(value: Any) -> str:
    try:
        dimension(_text(value))
    except InputError as error:
        raise ValueError(str(error)) from None
    return str(value)


def word_check(words: Collection[str], *, null: bool = False) -> Callable[[Any], Any]:
    """Return a check that a value is a word out of a vocabulary, or null where that is allowed."""

    def check(value: Any) -> Any:
        if value is None and null:
            return None
        if not isinstance(value, str) or value not in words:
            close = nearest(value, sorted(words)) if isinstance(value, str) else None
            listing = ", ".join(sorted(words)) if len(words) <= 10 else f"one of {len(words)} words of the vocabulary"
            raise ValueError(f"is not allowed: {value!r}; {f'nearest {close!r}' if close else f'allowed: {listing}'}")
        return value

    return check


def one_of(words: Collection[str], *, null: bool = False) -> PlainValidator:
    """Validator of a word out of a vocabulary, or null where that is allowed."""
    return PlainValidator(word_check(words, null=null))


def list_of(check_item: Callable[[Any], Any]) -> PlainValidator:
    """Validator of a list (possibly empty) whose items pass `check_item`; becomes a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(check_item(item) for item in value)
        raise ValueError(f"is not a list: {value!r}")

    return PlainValidator(check)


def _hours(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"is not a list of hours: {value!r}")
    for item in value:
        if not is_number(item):
            raise ValueError(f"is not a number: {item!r}")
    if list(value) != sorted(value):
        raise ValueError(f"is not in order: {list(value)}")
    return tuple(value)


def check_pair(value: Any) -> tuple[float | None, float | None]:
    """Return a lower and an upper end, either of which may be open (null)."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"is not a pair: {value!r}")
    low, high = value
    for end in (low, high):
        if end is not None and not is_number(end):
            raise ValueError(f"is not a number: {end!r}")
    if low is not None and high is not None and low > high:
        raise ValueError(f"is upside down: {list(value)}")
    return low, high


Text = Annotated[str, PlainValidator(_text)]
TextOrNull = Annotated[str | None, PlainValidator(_text_or_null)]
Note = Annotated[str | None, PlainValidator(_note)]
Identity = Annotated[str, PlainValidator(_identity)]
Unit = Annotated[str, PlainValidator(_unit)]
Number = Annotated[float, number()]
NumberOrNull = Annotated[float | None, number(null=True)]
NotNegative = Annotated[float, number(0)]
NotNegativeOrNull = Annotated[float | None, number(0, null=True)]
Hours = Annotated[tuple[float, ...], PlainValidator(_hours)]
Pair = Annotated[tuple[float | None, float | None], PlainValidator(check_pair)]
PairOrNull = Annotated[
    tuple[float | None, float | None] | None, PlainValidator(lambda value: None if value is None else check_pair(value))
]
Identities = Annotated[tuple[str, ...], list_of(_identity)]


def rules(found: list[str]) -> None:
    """Raise the findings of a rule over several keys, each ``key: what is wrong``, as one error."""
    if found:
        raise ValueError("\n".join(found))
