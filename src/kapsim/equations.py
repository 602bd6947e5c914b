"""The equations as the code has them: rates called on symbols and typeset.

Nothing is written twice: what is printed is what `Model.rates` computes, with each parameter shown by the symbol that
the registry gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.mechanisms.added import Influence, Seen, asked
from kapsim.mechanisms.base import Drugs, Setting
from kapsim.mechanisms.kinetics import Body
from kapsim.mechanisms.network import Activity
from kapsim.mechanisms.pharmacokinetics import Pharmacokinetics
from kapsim.mechanisms.receptor import Block
from kapsim.mechanisms.switches import KNOCKOUTS, Switches
from kapsim.model import STATES, Flow, Model, State, Traits, added_links

if TYPE_CHECKING:
    import sympy

Equations = list[tuple["sympy.Expr", "sympy.Expr"]]

#: Letters of what the network link works out on the way: where the cortex stands, how far outside the box of the
#: response surface that is, what its polynomials see, and the logarithm of the pyramidal rate.
_STAGES = {"surface_at": "z", "surface_past": "o", "surface_inside": "u", "surface_pyramidal": r"\ell_P"}

LINKS = ("pharmacokinetics", "receptor", "network", "glutamate", "plasticity", "inflammation", "mind", "mood", "acute")


def _symbol(name: str) -> sympy.Symbol:
    import sympy

    return sympy.Symbol(name, real=True)


def parameter_symbols() -> dict[str, sympy.Symbol]:
    """Return one symbol for every registry parameter: the registry's own, or the id where it has none."""
    return {name: _symbol(item.symbol or rf"\mathrm{{{name}}}") for name, item in load_parameters().items()}


def _symbols(kind: Any, mark: str = "") -> Any:
    """Return a named tuple of symbols, one for each field."""
    return kind(*(_symbol(rf"\mathit{{{name.replace('_', ' ')}}}{mark}") for name in kind._fields))


def _settings() -> Setting:
    """Return symbols of what a protocol sets; what bears the name of a state is told from it."""
    states = {name for part in STATES.values() for name in part._fields}
    plain, given = _symbols(Setting), _symbols(Setting, r"_\mathrm{given}")
    return Setting(*(given[k] if name in states else plain[k] for k, name in enumerate(Setting._fields)))


def known_links() -> tuple[str, ...]:
    """Return `LINKS` and those that extensions add."""
    return (*LINKS, *added_links())


def link_equations(link: str) -> Equations:
    """Return the equations of one link as pairs of left and right side.

    Parameters
    ----------
    link : str
        One of `known_links`.

    Raises
    ------
    InputError
        For an unknown link, naming the nearest.
    """
    known = known_links()
    if link not in known:
        from difflib import get_close_matches

        near = get_close_matches(link, known, n=1)
        hint = f"nearest: {near[0]!r}; " if near else ""
        raise InputError(f"unknown link {link!r}; {hint}known: {', '.join(known)}")
    values = parameter_symbols()
    if link == "pharmacokinetics":
        return _kinetics(values)
    # what no variant switches stands in the equations as it is
    switches = Switches(
        *(
            1 if name in KNOCKOUTS else _symbol(rf"\mathrm{{switch {name.replace('_', ' ')}}}")
            for name in Switches._fields
        )
    )
    model = Model.build(values, switches)
    builders = {
        "receptor": _receptor,
        "network": _network,
        "glutamate": _glutamate,
        "plasticity": _plasticity,
        "inflammation": _inflammation,
        "mind": _mind,
        "mood": _mood,
        "acute": _acute,
    }
    return builders[link](model) if link in builders else _added(model, link)


def _derivatives(state: Any, rates: Any) -> Equations:
    """Pair each state's time derivative with its rate."""
    import sympy

    time = sympy.Symbol("t", real=True)
    return [(sympy.Derivative(symbol, time), rate) for symbol, rate in zip(state, rates, strict=True)]


def _kinetics(values: dict[str, sympy.Symbol]) -> Equations:
    kinetics = Pharmacokinetics.build(values)
    body = _symbols(Body)
    totals: dict[str, Any] = {}
    for flow in kinetics.flows("s", body):
        moved = flow.rate * _symbol(rf"A_\mathrm{{{flow.source.replace('_', ' ')}}}")
        if not flow.copies:
            totals[flow.source] = totals.get(flow.source, 0) - moved
        if flow.target is not None:
            totals[flow.target] = totals.get(flow.target, 0) + moved
    amounts = [_symbol(rf"A_\mathrm{{{name.replace('_', ' ')}}}") for name in totals]
    return _derivatives(amounts, totals.values())


def _receptor(model: Model) -> Equations:
    drugs, setting = _symbols(Drugs), _settings()
    drive = _symbol("x")
    block = model.receptor.shares(drive)
    return [
        (drive, model.receptor.drive(drugs, setting, model.switches)),
        (_symbol("B_P"), block.pyramidal),
        (_symbol("B_I"), block.interneuron),
    ]


def _block() -> Block:
    return Block(_symbol("B_P"), _symbol("B_I"))


def _network(model: Model) -> Equations:
    """Return the network stage by stage: in one expression each, its read-outs would be pages long.

    The state's rate mixes both descriptions by the switch; the read-outs of each follow, the cortex' first.
    """
    state, setting, subgenual = _symbols(STATES["network"]), _settings(), _symbol(r"\mathit{subgenual}")
    seen = (state, _block(), _symbol("S"), subgenual, setting)
    stages: Equations = []

    def marked(name: str, value: Any) -> Any:
        """Write an intermediate quantity down, and go on with a symbol for it."""
        letter = _STAGES[name]
        if not hasattr(value, "_fields"):
            stages.append((_symbol(letter), value))
            return _symbol(letter)
        named = type(value)(*(_symbol(rf"{letter}_\mathrm{{{field}}}") for field in value._fields))
        stages.extend(zip(named, value, strict=True))
        return named

    place = model.network.place(*seen, model.switches, marked)
    rates = model.network.rates(state, _block(), setting, model.switches, place)
    found: Equations = []
    for mark, whole_brain in (("", 1.0), (r"_\mathrm{pair}", 0.0)):
        switches = model.switches._replace(whole_brain=whole_brain)
        at = place if whole_brain else None
        values = {
            **model.network.activity(*seen, switches, at)._asdict(),
            **model.network.imaging(*seen, switches, at)._asdict(),
        }
        if at is None:
            del values["beyond"]  # the pair of nodes has no domain that it could leave
        found += [(_symbol(rf"\mathit{{{name.replace('_', ' ')}}}{mark}"), value) for name, value in values.items()]
    return [*stages, *_derivatives(state, rates), *found]


def _glutamate(model: Model) -> Equations:
    state = _symbols(STATES["glutamate"])
    return _derivatives(state, model.glutamate.rates(state, _symbol(r"\mathit{pyramidal}"), _symbol("M")))


def _plasticity(model: Model) -> Equations:
    state, rest = _symbols(STATES["plasticity"]), _symbols(STATES["plasticity"], "_0")
    rates = model.plasticity.rates(
        state,
        rest,
        surge=_symbol(r"\Delta G"),
        block=_symbol("B_P"),
        tone=_symbol("Q_t"),
        hydroxynorketamine=_symbol(r"C_\mathrm{HNK}"),
        microglia=_symbol("M"),
        microglia_rest=_symbol("M_0"),
        setting=_settings(),
        switches=model.switches,
    )
    strength = (_symbol("S"), model.plasticity.strength(state))
    opening = (_symbol("W"), model.plasticity.opening(state))
    return [*_derivatives(state, rates), strength, opening]


def _inflammation(model: Model) -> Equations:
    state, rest = _symbols(STATES["inflammation"]), _symbols(STATES["inflammation"], "_0")
    return _derivatives(state, model.inflammation.rates(state, rest, _symbol("B_P"), model.switches))


def _mind(model: Model) -> Equations:
    state, rest = _symbols(STATES["mind"]), _symbols(STATES["mind"], "_0")
    rates = model.mind.rates(
        state,
        rest,
        window=_symbol("W"),
        dmn=_symbol("D"),
        dmn_rest=_symbol("D_0"),
        felt_drug=_symbol("q"),
        relief=_symbol(r"\rho"),
        alliance=_symbol(r"\Phi"),
        expectation=_symbol("e"),
        remitting=_symbol(r"\omega"),
        setting=_settings(),
        switches=model.switches,
    )
    return _derivatives(state, rates)


def _mood(model: Model) -> Equations:
    from kapsim.mechanisms.mood import Carriers

    now, rest = _symbols(Carriers), _symbols(Carriers, "_0")
    treated = model.mood.treated(
        now,
        rest,
        madrs_rest=_symbol(r"\mathit{MADRS}_0"),
        hama_rest=_symbol(r"\mathit{HAMA}_0"),
        untouched=_symbol(r"\upsilon"),
        gate=_symbol("g"),
        switches=model.switches,
    )
    madrs, hama = model.mood.scores(treated, _symbol(r"\mathit{recovery}"))
    return [(_symbol(r"\mathit{MADRS}"), madrs), (_symbol(r"\mathit{HAMA}"), hama)]


def _acute(model: Model) -> Equations:
    state, drugs = _symbols(STATES["acute"]), _symbols(Drugs)
    effects = model.acute.effects(state, drugs)
    readouts = [(_symbol(rf"\mathit{{{name.replace('_', ' ')}}}"), value) for name, value in effects._asdict().items()]
    return [*_derivatives(state, model.acute.rates(state, drugs)), *readouts]


def _added(model: Model, name: str) -> Equations:
    place = list(added_links()).index(name)
    link = model.added[place]

    def chain(mark: str) -> State:
        added = tuple(_symbols(other.State, mark) for other in added_links().values())
        return State(*(_symbols(part, mark) for part in STATES.values()))._replace(added=added)

    now, rest = chain(""), chain("_0")
    flow = _symbols(Flow)._replace(block=_block(), activity=_symbols(Activity))
    seen = Seen(now, rest, flow, _symbols(Traits, r"_\mathrm{own}"), _symbols(Drugs), _settings())
    own, own_rest = now.added[place], rest.added[place]
    acts = asked(link, "influence", own, own_rest)._asdict()
    marked = [(_symbol(rf"\mathit{{{name} on {field}}}"), value) for field, value in acts.items()]
    # what it leaves alone need not be written
    silent = Influence()._asdict()
    return [
        *_derivatives(own, asked(link, "rates", own, own_rest, seen)),
        *(pair for pair, field in zip(marked, acts, strict=True) if pair[1] != silent[field]),
    ]


def typeset(link: str | None = None, fmt: str = "text") -> str:
    """Return the equations of one link, or of all, as text or LaTeX.

    Parameters
    ----------
    link : str, optional
        One of `known_links`; all of them if left out.
    fmt : str
        'text' (drawn with characters) or 'latex' (an `align*` a link).

    Raises
    ------
    InputError
        For an unknown link or format.
    """
    if fmt not in ("text", "latex"):
        raise InputError(f"unknown format {fmt!r}; known: text, latex")
    parts = []
    for name in known_links() if link is None else (link,):
        pairs = [(left, tidy(right)) for left, right in link_equations(name)]
        if fmt == "latex":
            lines = [rf"{as_latex(left)} &= {as_latex(right)} \\" for left, right in pairs]
            parts.append("\n".join([f"% {name}", r"\begin{align*}", *lines, r"\end{align*}"]))
        else:
            lines = [f"{_plain(left)} = {_plain(right)}" for left, right in pairs]
            parts.append("\n".join([name, "=" * len(name), *lines]))
    return "\n\n".join(parts)


def as_latex(expression: sympy.Expr) -> str:
    """Return an expression in LaTeX, with words apart and factors told from words: mathematics passes over spaces."""
    import re

    import sympy

    return re.sub(
        r"\\(mathit|mathrm)\{([^{}]*)\}",
        lambda found: rf"\{found.group(1)}{{{found.group(2).replace(' ', '~')}}}",
        sympy.latex(expression, mul_symbol=r" \, "),
    )


def tidy(expression: Any) -> sympy.Expr:
    """Write whole numbers as such: 1.0 is only how Python counts."""
    import sympy

    expression = sympy.sympify(expression)
    floats = expression.atoms(sympy.Float)
    whole = {number: sympy.Integer(int(number)) for number in floats if float(number).is_integer()}
    return expression.xreplace(whole)


def _plain(expression: sympy.Expr) -> str:
    """Return an expression in one line, without the marks that only typesetting needs."""
    import re

    import sympy

    if isinstance(expression, sympy.Derivative):
        return f"d {_plain(expression.args[0])} / dt"
    text = str(expression)
    text = re.sub(r"\\(?:mathit|mathrm)\{([^{}]*)\}", lambda found: found.group(1).replace(" ", "_"), text)
    return re.sub(r"\\([A-Za-z]+)", r"\1", text).replace("{", "").replace("}", "")
