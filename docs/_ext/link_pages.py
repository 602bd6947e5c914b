"""The model, link by link: the equations as the code computes them, and every parameter with what it rests on."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sympy
from markup import as_markdown, cite, literature, markdown, math

from kapsim import equations
from kapsim.evidence import LINKS, STATUSES, Law, Parameter, load_parameters
from kapsim.evidence.registry import format_quantity

#: Longer than this in LaTeX, what occurs more than once in an equation is given a symbol of its own.
LONG = 260
#: Terms of a sum on one line.
TERMS = 4
DIGITS = 4
#: Links that have parameters but no equations: who is treated, and how they are rated.
DESCRIBED = {
    "patient": "Who is treated: what a person has where a patient file says nothing, and how people spread in it.",
    "observation": "How a course is rated and seen: errors of ratings and assays, entry by a score, drop-out, and what "
    "studies have in common.",
}


def of(link: str) -> list[Parameter]:
    """Return the parameters of a link, in the order of the registry."""
    return [item for item in load_parameters().values() if item.link == link]


def statuses(items: Sequence[Parameter]) -> str:
    """Return how many of some parameters are measured, derived, calibrated and assumed, in words."""
    counts = Counter(item.status for item in items)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])


def overview() -> str:
    """Return a table of all links: where their page is, and what their parameters rest on."""
    rows = []
    for link in LINKS:
        counts = Counter(item.status for item in of(link))
        number = len(equations.link_equations(link)) if link in equations.LINKS else "–"
        rows.append(
            [f"[{link}](links/{link}.md)", number, *(counts[status] or "–" for status in STATUSES), counts.total()]
        )
    whole = Counter(item.status for item in load_parameters().values())
    rows.append(["**all**", "", *(f"**{whole[status]}**" for status in STATUSES), f"**{whole.total()}**"])
    return markdown(("link", "equations", *STATUSES, "parameters"), rows)


def page(link: str) -> str:
    """Return the page of a link."""
    own = of(link)
    parts = [f"# {link.capitalize()}"]
    if link in DESCRIBED:
        parts.append(DESCRIBED[link])
    else:
        module = importlib.import_module(f"kapsim.mechanisms.{link}")
        parts += [as_markdown(inspect.getdoc(module) or ""), f"Code: `src/kapsim/mechanisms/{link}.py`."]
        parts += ["## Equations", _reading(link), *(_equation(*pair) for pair in equations.link_equations(link))]
    parts += [
        "## Parameters",
        f"{len(own)} parameters: {statuses(own)}. `kapsim parameters show ID` says more of each.",
        table(own),
    ]
    parts += [
        "## Sources",
        "Of values and spreads, and the studies that a value was fitted to.",
        literature([item.id for item in own]),
    ]
    return "\n\n".join(parts) + "\n"


def _reading(link: str) -> str:
    words = (
        "As the code computes them: its rates are called on symbols and typeset, numbers rounded to four digits. "
        "Parameters have the symbols of the table below; *switch ...* is 1 or 0 as the variant says; an index 0 is the "
        "person's own value at rest."
    )
    if link == "pharmacokinetics":
        words += " Amounts of S-ketamine; R-ketamine runs beside it with its own clearance."
    if link == "network":
        words += (
            " First where the cortex stands, how far outside the response surface's box that is, and what its "
            "polynomials see; then the rate of the state; then the read-outs by the response surface of the "
            "whole-brain model, and those of the pair of nodes (*pair*) that a variant puts in its place."
        )
    return words


def table(items: Sequence[Parameter]) -> str:
    """Return a table of parameters: what each is, what is not known of it, how people differ, and what it rests on."""
    headings = ("symbol", "parameter", "value", "not known", "between people", "status", "rests on")
    return markdown(headings, [_row(item) for item in items])


def _row(item: Parameter) -> list[str]:
    rests = [cite(item.all_sources)] if item.all_sources else []
    if item.fitted_to:
        rests.append(f"fitted to {len(item.fitted_to)} records")
    if item.prior is not None:
        rests.append(f"before: {format_quantity(item.prior.value, item.unit)}, {item.prior.status}")
    return [
        math(item.symbol) if item.symbol else "",
        f"{as_markdown(item.name)} `{item.id}`",
        as_markdown(format_quantity(item.value, item.unit)),
        _spread(item.uncertainty, item.unit) if item.uncertainty else "–",
        _spread(item.between_subject, item.unit) if item.between_subject else "the same in all",
        item.status,
        "; ".join(rests) or "–",
    ]


# --- equations ------------------------------------------------------------------------------------------------------


def _equation(left: Any, right: Any) -> str:
    lines = _lines(left, _rounded(equations.tidy(right)))
    if len(lines) == 1:
        lines = [lines[0].replace("&= ", "= ", 1)]
    return "```{math}\n" + "\n".join(lines) + "\n```"


def _lines(left: Any, right: Any) -> list[str]:
    """Return an equation in LaTeX, on more than one line where it is long."""
    text = equations.as_latex(right)
    if len(text) <= LONG:
        return [rf"{equations.as_latex(left)} = {text}"]
    if isinstance(right, sympy.exp) and right.args[0].is_Add:
        left, right = sympy.log(left), right.args[0]
    if (
        right.is_polynomial()
        and right.free_symbols
        and all(str(symbol).startswith("u_") for symbol in right.free_symbols)
    ):
        # sums of powers, in the order that one looks a coefficient up in
        return _sum(equations.as_latex(left), sympy.expand(right))
    named, (short,) = sympy.cse(right, symbols=sympy.numbered_symbols(r"\chi_", start=1, real=True))
    lines = _sum(equations.as_latex(left), short)
    for symbol, value in named:
        lines[-1] += r" \\"
        lines += _sum(rf"\text{{with }} {equations.as_latex(symbol)}", value)
    return lines


def _sum(left: str, right: Any) -> list[str]:
    """Return `left = right`, a sum with some terms on each line."""
    terms = right.as_ordered_terms() if right.is_Add else [right]
    chunks = [terms[start : start + TERMS] for start in range(0, len(terms), TERMS)]
    lines = []
    for number, chunk in enumerate(chunks):
        text = equations.as_latex(sympy.Add(*chunk, evaluate=False)) if len(chunk) > 1 else equations.as_latex(chunk[0])
        sign = "" if number == 0 or text.startswith("-") else "+ "
        lines.append((rf"{left} &= " if number == 0 else r"&\quad " + sign) + text)
    return [line + (r" \\" if number + 1 < len(lines) else "") for number, line in enumerate(lines)]


def _spread(law: Law, unit: str) -> str:
    """Return a law in words; a number without a unit has none."""
    return as_markdown(re.sub(r" 1(?=,|$)", "", law.describe(unit)) if unit == "1" else law.describe(unit))


def _rounded(expression: Any) -> Any:
    return expression.xreplace({number: sympy.Float(number, DIGITS) for number in expression.atoms(sympy.Float)})
