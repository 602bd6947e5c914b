"""The units that kapsim knows, and what people write for them; `units.py` reads and converts with these tables."""

from __future__ import annotations

from fractions import Fraction

_MILLI, _MICRO, _NANO, _PICO = (Fraction(1, 10**k) for k in (3, 6, 9, 12))
_MINUTE, _DAY = Fraction(1, 60), Fraction(24)

#: Size in the base unit of the dimension, and the dimension. A compound unit (M, Hz, C) names it as a quotient.
TABLE: dict[str, tuple[Fraction, str]] = {
    "1": (Fraction(1), "1"),
    "%": (Fraction(1, 100), "1"),
    "sign": (Fraction(1), "1"),
    "indicator": (Fraction(1), "1"),
    # time, in h
    "h": (Fraction(1), "time"),
    "min": (_MINUTE, "time"),
    "s": (_MINUTE / 60, "time"),
    "ms": (_MINUTE / 60 * _MILLI, "time"),
    "us": (_MINUTE / 60 * _MICRO, "time"),
    "d": (_DAY, "time"),
    "wk": (7 * _DAY, "time"),
    "mo": (Fraction("30.4375") * _DAY, "time"),
    "a": (Fraction("365.25") * _DAY, "time"),
    "Hz": (Fraction(3600), "1/time"),
    "kHz": (Fraction(3_600_000), "1/time"),
    # mass, in kg
    "kg": (Fraction(1), "mass"),
    "g": (_MILLI, "mass"),
    "mg": (_MICRO, "mass"),
    "ug": (_NANO, "mass"),
    "ng": (_PICO, "mass"),
    "pg": (_PICO * _MILLI, "mass"),
    # volume, in L
    "L": (Fraction(1), "volume"),
    "dL": (Fraction(1, 10), "volume"),
    "mL": (_MILLI, "volume"),
    "uL": (_MICRO, "volume"),
    # amount of substance, in umol, and its concentration
    "mol": (Fraction(10**6), "amount"),
    "mmol": (Fraction(10**3), "amount"),
    "umol": (Fraction(1), "amount"),
    "nmol": (_MILLI, "amount"),
    "pmol": (_MICRO, "amount"),
    "M": (Fraction(10**6), "amount/volume"),
    "mM": (Fraction(10**3), "amount/volume"),
    "uM": (Fraction(1), "amount/volume"),
    "nM": (_MILLI, "amount/volume"),
    "pM": (_MICRO, "amount/volume"),
    # length, in m
    "m": (Fraction(1), "length"),
    "cm": (Fraction(1, 100), "length"),
    "mm": (_MILLI, "length"),
    "um": (_MICRO, "length"),
    "nm": (_NANO, "length"),
    # pressure, in mm[Hg]; the conventional millimetre of mercury is 133.322387415 Pa
    "mm[Hg]": (Fraction(1), "pressure"),
    "kPa": (Fraction(1000) / Fraction("133.322387415"), "pressure"),
    "Pa": (1 / Fraction("133.322387415"), "pressure"),
    # electricity, in V, A and S; a coulomb is an ampere held for a second
    "V": (Fraction(1), "voltage"),
    "mV": (_MILLI, "voltage"),
    "uV": (_MICRO, "voltage"),
    "A": (Fraction(1), "current"),
    "uA": (_MICRO, "current"),
    "nA": (_NANO, "current"),
    "pA": (_PICO, "current"),
    "C": (_MINUTE / 60, "current.time"),
    "nC": (_NANO * _MINUTE / 60, "current.time"),
    "pC": (_PICO * _MINUTE / 60, "current.time"),
    "S": (Fraction(1), "conductance"),
    "mS": (_MILLI, "conductance"),
    "uS": (_MICRO, "conductance"),
    "nS": (_NANO, "conductance"),
    "pS": (_PICO, "conductance"),
    # things counted or rated: each its own dimension
    "points": (Fraction(1), "points"),
    "point": (Fraction(1), "points"),
    "BDI points": (Fraction(1), "BDI points"),
    "SD": (Fraction(1), "standard deviations"),
    "SMD": (Fraction(1), "standard deviations"),
    "sessions": (Fraction(1), "sessions"),
    "trials": (Fraction(1), "trials"),
    "counts": (Fraction(1), "counts"),
    "patients": (Fraction(1), "patients"),
}

#: Words that people write for a unit and that a comparison of letters would not lead to it.
HINTS: dict[str, str] = {
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks", "wks"), "wk"),
    **dict.fromkeys(("month", "months", "mon"), "mo"),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "a"),
    **dict.fromkeys(("mcg", "microgram", "micrograms"), "ug"),
    **dict.fromkeys(("kilo", "kilos", "kgs"), "kg"),
    **dict.fromkeys(("l", "litre", "liter"), "L"),
    **dict.fromkeys(("percent", "pct"), "%"),
    "mmhg": "mm[Hg]",
    "bpm": "/min",
}
