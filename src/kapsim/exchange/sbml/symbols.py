"""Ids, symbols and tidy expressions: what the parts of an export are named and written with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapsim.equations import tidy as whole_numbers

if TYPE_CHECKING:
    import sympy
    from sympy import Expr


def identifier(text: str) -> str:
    """Return an id made of letters, digits and underscores from a dotted name."""
    return text.replace(".", "_")


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol of an id."""
    import sympy

    return sympy.Symbol(name, real=True)


def tidy(expression: Any) -> Expr:
    """Return an expression with whole numbers as such, and nothing raised to a power as nothing."""
    found = whole_numbers(expression)
    return (
        found.replace(lambda part: part.is_Pow and part.base.is_zero, lambda part: number(0.0)) if found.args else found
    )


def number(value: float) -> Expr:
    """Return a number as an expression."""
    return whole_numbers(value)
