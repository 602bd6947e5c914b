"""Units: one table, converted and checked where a file is read; inside, kapsim computes with plain floats.

The spelling is UCUM-like: ``mg/kg``, ``ng.h/mL``, ``mm[Hg]``, ``1/(ms.mmol/L)``, ``M-1.s-1``. Products are ``.`` or
``*``, quotients ``/`` from left to right, powers a trailing integer. Inside, the fixed system is h, L, umol, kg, ng/mL
(plasma), nM (receptor), mm[Hg], 1 (a pure number), points (of a scale) and a (years of age).

Two things differ from UCUM on purpose. A mass per body mass (``mg/kg``) is not a pure number, so that ``5 %`` is never
taken for a dose. Things that are counted or rated (points, sessions, SMD) are dimensions of their own, so that points
of a scale are never taken for a share.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from kapsim.errors import InputError
from kapsim.unit_table import HINTS, TABLE

__all__ = [
    "INTERNAL",
    "UNITS",
    "convert",
    "dimension",
    "format_quantity",
    "is_known",
    "nearest",
    "parse_as",
    "parse_quantity",
    "parts",
]

INTERNAL: tuple[str, ...] = ("h", "L", "umol", "kg", "ng/mL", "nM", "mm[Hg]", "1", "points", "a")
"""The fixed system in which kapsim computes."""

UNITS: Mapping[str, str] = MappingProxyType({symbol: dimension for symbol, (_, dimension) in TABLE.items()})
"""The units that everything else is built of, with their dimensions."""

_TOKEN = re.compile(r"\s*(?:(per)(?=\s)|([./*()])|(1)(?![\d.])|(BDI points|mm\[Hg\]|[A-Za-z%]+)([+-]?\d+)?)")
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*", re.DOTALL)
_LONGEST = 60
_HIGHEST_POWER = 9
_LARGEST = 10**120


@dataclass(frozen=True)
class _Unit:
    """A parsed unit: its size in base units and the powers of its dimensions, above and below the line."""

    size: Fraction
    above: tuple[tuple[str, int], ...]
    below: tuple[tuple[str, int], ...]

    @property
    def dimension(self) -> str:
        top = ".".join(name if power == 1 else f"{name}{power}" for name, power in self.above) or "1"
        bottom = ".".join(name if power == 1 else f"{name}{power}" for name, power in self.below)
        if not bottom:
            return top
        return f"{top}/({bottom})" if "." in bottom else f"{top}/{bottom}"


class _Parser:
    """Reads one unit expression; any fault is an InputError that names the unit."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens(text)
        self.next = 0

    def _tokens(self, text: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _unknown(self.text, text[at:].strip() or text)
            per, operator, one, symbol, power = match.groups()
            if symbol is not None and symbol not in TABLE:
                raise _unknown(self.text, symbol)
            word = "/" if per else operator or one or symbol or ""
            found.append((word, int(power) if power else 1))
            at = match.end()
        return found

    def parse(self) -> tuple[Fraction, dict[str, int], dict[str, int]]:
        result = self._product()
        if self.next != len(self.tokens):
            raise _malformed(self.text)
        return result

    def _peek(self) -> str | None:
        return self.tokens[self.next][0] if self.next < len(self.tokens) else None

    def _product(self) -> tuple[Fraction, dict[str, int], dict[str, int]]:
        size, above, below = Fraction(1), dict[str, int](), dict[str, int]()
        # A leading stroke stands for "1/": "/min".
        first = self._peek() != "/"
        while first or self._peek() in (".", "*", "/"):
            divide = False
            if not first:
                divide = self._peek() == "/"
                self.next += 1
            first = False
            factor, up, down = self._factor()
            size = size / factor if divide else size * factor
            for powers, into in ((up, below if divide else above), (down, above if divide else below)):
                for name, power in powers.items():
                    into[name] = into.get(name, 0) + power
        return size, above, below

    def _factor(self) -> tuple[Fraction, dict[str, int], dict[str, int]]:
        token = self._peek()
        if token is None or token in (".", "*", "/", ")"):
            raise _malformed(self.text)
        power = self.tokens[self.next][1]
        self.next += 1
        if token == "(":
            inside = self._product()
            if self._peek() != ")":
                raise _malformed(self.text)
            self.next += 1
            return inside
        if not 0 < abs(power) <= _HIGHEST_POWER:
            raise _malformed(self.text)
        size, dimension = TABLE[token]
        top, _, bottom = dimension.partition("/")
        up, down = ({name: abs(power) for name in side.split(".") if name not in ("", "1")} for side in (top, bottom))
        return size**power, *((up, down) if power > 0 else (down, up))


def _malformed(text: str) -> InputError:
    return InputError(f"the unit {text!r} cannot be read; write it like 'mg/kg', 'ng.h/mL' or '1/h'")


def _unknown(text: str, symbol: str) -> InputError:
    hint = _nearest_symbol(symbol)
    advice = (
        f"did you mean {text.replace(symbol, hint, 1)!r}?" if hint else "units look like 'mg/kg', 'ng/mL', 'h' or '1'"
    )
    return InputError(f"unknown unit {text!r}; {advice}")


def _nearest_symbol(symbol: str) -> str | None:
    hint = HINTS.get(symbol.lower())
    return hint if hint is not None and hint != symbol else nearest(symbol, TABLE)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like a mistyped one.

    Parameters
    ----------
    word : str
        What was written.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    str or None
        The nearest known word, None where none is near.
    """
    words = list(known)
    folded = {candidate.lower(): candidate for candidate in reversed(words)}
    for likely in (word.lower(), word.lower().removesuffix("s")):
        if likely in folded:
            return folded[likely]
    # a name that was broken off is nearer to what it begins than letters would say
    begun = [candidate for candidate in words if len(word) > 2 and candidate.lower().startswith(word.lower())]
    if begun:
        return min(begun, key=len)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return close[0] if close else None


@functools.lru_cache(maxsize=4096)
def _parse(unit: str) -> _Unit:
    text = unit.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u").strip()
    if not text or len(text) > _LONGEST:
        raise InputError(
            f"the unit {unit[:_LONGEST]!r} is {'empty' if not text else 'too long'}; write '1' for a pure number"
        )
    size, above, below = _Parser(text).parse()
    if max(size.numerator, size.denominator) > _LARGEST:
        raise _malformed(text)
    for name in set(above) & set(below):
        # Mass stays: mg/kg is a dose per body mass, not a pure number.
        shared = 0 if name == "mass" else min(above[name], below[name])
        above[name] -= shared
        below[name] -= shared
    up, down = (tuple(sorted((name, power) for name, power in side.items() if power)) for side in (above, below))
    return _Unit(size, up, down)


def is_known(unit: str) -> bool:
    """Whether `unit` can be read."""
    try:
        _parse(unit)
    except InputError:
        return False
    return True


def dimension(unit: str) -> str:
    """Return the dimension of a unit as a canonical text, the same for all units that convert into each other.

    Parameters
    ----------
    unit : str
        A unit such as ``"mg/L"``.

    Returns
    -------
    str
        For example ``"mass/volume"``; ``"1"`` for a pure number.

    Raises
    ------
    InputError
        If the unit is unknown; the message names the nearest known one.
    """
    return _parse(unit).dimension


def parts(unit: str) -> tuple[Fraction, dict[str, int]]:
    """Return the size of a unit in base units (h, kg, L, umol, m, mm[Hg], ...) and the powers of its dimensions.

    Mass above and below the line cancels here; raises InputError for an unknown unit.
    """
    found = _parse(unit)
    powers = dict(found.above)
    for name, power in found.below:
        powers[name] = powers.get(name, 0) - power
    return found.size, {name: power for name, power in powers.items() if power}


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Convert a number from one unit to another.

    Parameters
    ----------
    value : float
        The number in `from_unit`. NumPy arrays pass through elementwise.
    from_unit, to_unit : str
        Units of the same dimension.

    Returns
    -------
    float
        The number in `to_unit`.

    Raises
    ------
    InputError
        If a unit is unknown or the dimensions differ.
    """
    source, target = _parse(from_unit), _parse(to_unit)
    if source.dimension != target.dimension:
        raise InputError(
            f"cannot convert {from_unit!r} ({source.dimension}) to {to_unit!r} ({target.dimension}); "
            f"a unit of {target.dimension} is needed"
        )
    ratio = source.size / target.size
    if ratio == 1:
        return value
    # Whole numbers on both sides of the line: 49 min is 49 / 60 h, rounded once.
    return value * float(ratio.numerator) / float(ratio.denominator)


def parse_quantity(text: str) -> tuple[float, str]:
    """Read a number with its unit.

    Parameters
    ----------
    text : str
        For example ``"0.5 mg/kg"``, ``"40 min"`` or ``"1e3 ng/mL"``.

    Returns
    -------
    tuple of (float, str)
        The number and its unit as written.

    Raises
    ------
    InputError
        If there is no finite number, no unit, or an unknown unit.
    """
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= 4 * _LONGEST else None
    if match is None:
        raise InputError(f"{str(text)[:_LONGEST]!r} is not a quantity; write a number and a unit, like '0.5 mg/kg'")
    value, unit = float(match[1]), match[2]
    if not math.isfinite(value):
        raise InputError(f"{text!r} is not a finite number")
    if not unit:
        raise InputError(f"{text!r} lacks a unit; write it like '0.5 mg/kg', '40 min' or '70 kg'")
    _parse(unit)
    return value, unit


def format_quantity(value: float, unit: str) -> str:
    """Write a number with its unit, to six digits; a pure number stands alone."""
    return f"{value:.6g}" if unit == "1" else f"{value:.6g} {unit}"


def parse_as(text: str, unit: str) -> float:
    """Read a number with its unit and convert it.

    Parameters
    ----------
    text : str
        For example ``"30 min"``.
    unit : str
        The unit wanted, for example ``"h"``.

    Returns
    -------
    float
        The number in `unit`.

    Raises
    ------
    InputError
        As `parse_quantity` and `convert`.
    """
    value, written = parse_quantity(text)
    return convert(value, written, unit)
