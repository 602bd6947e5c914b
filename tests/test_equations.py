"""The printed equations are the computed ones."""

from __future__ import annotations

import re

import pytest

from kapsim.equations import LINKS, link_equations, parameter_symbols, typeset
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


def test_stages_of_the_network_lead_to_what_it_computes() -> None:
    """Worked out one after another, the printed equations give the numbers of the network, by both descriptions."""
    import sympy

    from kapsim.evidence import load_parameters
    from kapsim.mechanisms.base import Setting
    from kapsim.mechanisms.receptor import Block
    from kapsim.mechanisms.switches import VARIANTS
    from kapsim.model import Model

    values = {name: item.value for name, item in load_parameters().items()}
    # a symbol may stand for one thing in one link and for another in the next
    known = {symbol: values[name] for name, symbol in parameter_symbols().items() if name.startswith("network.")}
    setting = Setting(*(0.0 for _ in Setting._fields))._replace(benzodiazepine=0.3)
    known |= {
        sympy.Symbol(rf"\mathit{{{name.replace('_', ' ')}}}", real=True): x for name, x in setting._asdict().items()
    }
    block, strength, subgenual, inhibition = Block(0.2, 0.35), 0.97, 1.05, 1.004
    for name, value in (
        ("B_P", block.pyramidal), ("B_I", block.interneuron), ("S", strength), (r"\mathit{subgenual}", subgenual),
        (r"\mathit{inhibition}", inhibition), (r"\mathrm{switch whole brain}", 1.0),
    ):  # fmt: skip
        known[sympy.Symbol(name, real=True)] = value
    found = {}
    for left, right in link_equations("network"):
        value = float(sympy.sympify(right).xreplace(known))
        found[str(left)] = value
        if not isinstance(left, sympy.Derivative):
            known[left] = value

    state = STATES["network"](inhibition)
    for mark, variant in (("", "standard"), (r"_\mathrm{pair}", "node_pair")):
        network, switches = Model.build(values, VARIANTS[variant]).network, VARIANTS[variant]
        seen = (state, block, strength, subgenual, setting, switches)
        place = network.place(*seen)
        expected = network.activity(*seen, place)._asdict() | network.imaging(*seen, place)._asdict()
        for name, value in expected.items():
            if name != "beyond" or not mark:
                assert found[rf"\mathit{{{name.replace('_', ' ')}}}{mark}"] == pytest.approx(float(value), rel=1e-12)
        if not mark:
            (rate,) = network.rates(state, block, setting, switches, place)
            assert found[r"Derivative(\mathit{inhibition}, t)"] == pytest.approx(float(rate), rel=1e-10)


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
