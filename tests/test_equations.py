"""The printed equations are the computed ones."""

from __future__ import annotations

import re

import pytest

from kapsim.equations import LINKS, link_equations, typeset
from kapsim.errors import InputError
from kapsim.model import STATES


@pytest.mark.parametrize("link", LINKS)
def test_every_link_is_typeset_both_ways(link: str) -> None:
    text, latex = typeset(link), typeset(link, "latex")
    pairs = link_equations(link)
    assert len(text.splitlines()) == len(pairs) + 2
    assert latex.count(r"\\") >= len(pairs)
    assert latex.count("{") == latex.count("}")


@pytest.mark.parametrize("link", [name for name in STATES if name != "mood"])
def test_every_state_has_its_rate(link: str) -> None:
    found = set(re.findall(r"^d (\w+) / dt", typeset(link), flags=re.M))
    assert found == set(STATES[link]._fields)


def test_parameters_stand_by_their_symbols() -> None:
    assert "rho_A" in typeset("plasticity")
    assert r"\tau_{G}" in typeset("glutamate", "latex")


def test_kinetics_conserve_drug_symbolically() -> None:
    """What leaves the body is all that the sum of the compartments loses."""
    import sympy

    held = [(left, right) for left, right in link_equations("pharmacokinetics") if "venous" not in str(left)]
    held = [(left, right) for left, right in held if "effect" not in str(left)]
    total = sum(right for _, right in held)
    pump = next(symbol for symbol in total.free_symbols if "pump" in str(symbol))
    lost = sympy.simplify(total.subs(pump, 0).subs({s: 1 for s in total.free_symbols if "rapid" in str(s)}))
    names = {str(symbol) for symbol in lost.free_symbols if str(symbol).startswith("A_")}
    # peripheral compartments and transits only hand on what they hold
    assert not any(word in name for name in names for word in ("slow", "transit", "deep"))


def test_unknown_link_names_the_nearest() -> None:
    with pytest.raises(InputError, match="nearest: 'plasticity'"):
        typeset("plasticty")
    with pytest.raises(InputError, match="text, latex"):
        typeset("mind", "word")
