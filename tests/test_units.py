"""Units: every unit of the evidence is known, conversion is exact where it can be, and mistakes are named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kapsim.errors import InputError
from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.file_model import nearest_of
from kapsim.units import (
    INTERNAL,
    UNITS,
    convert,
    dimension,
    format_quantity,
    is_known,
    nearest,
    parse_as,
    parse_quantity,
)

COMPOUND = (
    "mg/kg",
    "ng/kg",
    "ng/mL",
    "mg/L",
    "nmol/mL",
    "uM",
    "L/h",
    "mL/min/kg",
    "L/h/kg",
    "1/h",
    "/min",
    "Hz",
    "kg/m2",
)
ALL_UNITS = sorted({*UNITS, *COMPOUND})
SAME_DIMENSION = [(a, b) for a in ALL_UNITS for b in ALL_UNITS if dimension(a) == dimension(b)]
VALUES = st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False)


@given(value=VALUES, pair=st.sampled_from(SAME_DIMENSION))
def test_there_and_back_gives_the_same_number(value: float, pair: tuple[str, str]) -> None:
    there, back = pair
    assert convert(convert(value, there, back), back, there) == pytest.approx(value, rel=1e-14)


@given(value=VALUES, triple=st.tuples(*(st.sampled_from(ALL_UNITS),) * 3))
def test_the_way_does_not_matter(value: float, triple: tuple[str, str, str]) -> None:
    first, middle, last = triple
    assume(dimension(first) == dimension(middle) == dimension(last))
    direct = convert(value, first, last)
    assert convert(convert(value, first, middle), middle, last) == pytest.approx(direct, rel=1e-13)


@given(value=VALUES, unit=st.sampled_from(ALL_UNITS))
def test_a_written_quantity_reads_back(value: float, unit: str) -> None:
    if unit == "1":
        return
    assert parse_quantity(f"{value!r} {unit}") == (value, unit)


@given(st.text(max_size=80))
def test_any_text_is_a_quantity_or_an_input_error(text: str) -> None:
    try:
        value, unit = parse_quantity(text)
    except InputError as error:
        lines = str(error).count("\n")
    else:
        lines = 0
        assert math.isfinite(value)
        assert is_known(unit)
    assert lines == 0


@pytest.mark.parametrize(
    ("value", "source", "target", "right"),
    [
        (30, "min", "h", 0.5),
        (3, "d", "h", 72),
        (1, "wk", "h", 168),
        (6, "mo", "d", 182.625),
        (1, "a", "mo", 12),
        (0.71, "uM", "nM", 710),
        (1, "mg/L", "ng/mL", 1000),
        (1, "nmol/mL", "uM", 1),
        (1, "mL/min/kg", "L/h/kg", 0.06),
        (50, "%", "1", 0.5),
        (1, "Hz", "1/h", 3600),
        (1, "M-1.s-1", "L/mol/s", 1),
        (1, "1/(ms.mmol/L)", "L/mmol/ms", 1),
        (1, "ng*h/mL", "ng.h/mL", 1),
        (70, "beats", None, None),
        (120, "mm[Hg]", "kPa", 15.9986864898),
    ],
)
def test_known_conversions(value: float, source: str, target: str | None, right: float | None) -> None:
    if target is None:
        with pytest.raises(InputError, match="unknown unit"):
            dimension(source)
        return
    assert convert(value, source, target) == pytest.approx(right, rel=1e-12)


def test_minutes_become_hours_rounded_once() -> None:
    assert all(convert(minutes, "min", "h") == minutes / 60 for minutes in range(1000))


def test_arrays_pass_through() -> None:
    np.testing.assert_allclose(convert(np.array([1.0, 2.0]), "h", "min"), [60, 120])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("mg/kg", "%"),
        ("points", "1"),
        ("points", "BDI points"),
        ("ng/mL", "nM"),
        ("L", "L/kg"),
        ("SMD", "1"),
        ("h", "1/h"),
    ],
)
def test_what_differs_in_kind_does_not_convert(first: str, second: str) -> None:
    with pytest.raises(InputError, match="cannot convert"):
        convert(1, first, second)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("5 hours", "'h'"),
        ("5 mg/kgs", "'mg/kg'"),
        ("2 weeks", "'wk'"),
        ("3 months", "'mo'"),
        ("0.5 mcg/ml", "'ug/ml'"),
        ("120 mmHg", "'mm[Hg]'"),
        ("5", "lacks a unit"),
        ("five mg", "not a quantity"),
        ("1e999 mg", "not a finite number"),
        ("5 mg//kg", "cannot be read"),
        ("5 (mg", "cannot be read"),
        ("5 mg0", "cannot be read"),
        ("5 mg kg", "cannot be read"),
        ("5 " + "nM9." * 14 + "nM9", "cannot be read"),
        ("5 " + "mg." * 40 + "mg", "too long"),
    ],
)
def test_mistakes_are_named(text: str, advice: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_quantity(text)
    assert advice in str(caught.value)


def test_parse_as_reads_and_converts() -> None:
    assert parse_as("40 min", "h") == pytest.approx(2 / 3)
    assert parse_as(" 45 a ", "a") == 45
    assert parse_as("-16.5points", "points") == -16.5


def test_a_greek_mu_is_micro() -> None:
    assert convert(1, "\N{MICRO SIGN}M", "nM") == convert(1, "\N{GREEK SMALL LETTER MU}M", "nM") == 1000


def test_nearest_and_format() -> None:
    assert nearest("ketamin", ["ketamine", "saline"]) == "ketamine"
    assert nearest("zzz", ["ketamine"]) is None
    assert nearest("mgs", ["ms", "mg"]) == "mg"
    assert nearest("receptor.ic50", ["receptor.hill", "receptor.ic50.s_ketamine"]) == "receptor.ic50.s_ketamine"
    # two letters begin too many words
    assert nearest("re", ["receptor.ic50.s_ketamine"]) is None
    assert nearest_of("ketamin", ["ketamine", "saline"], "drug") == "nearest valid drug 'ketamine'"
    assert nearest_of("psilocybin", ["ketamine", "saline"], "drug") == "valid drugs: ketamine, saline"
    assert format_quantity(0.5, "1") == "0.5"
    assert format_quantity(25, "L") == "25 L"


def test_every_unit_of_the_shipped_files_is_known() -> None:
    units = {record.unit for record in load_evidence().values()}
    units |= {record.outcome.unit for record in load_observed()} | {
        parameter.unit for parameter in load_parameters().values()
    }
    units |= set(INTERNAL)
    assert len(units) > 50
    assert [unit for unit in sorted(units) if not is_known(unit)] == []
