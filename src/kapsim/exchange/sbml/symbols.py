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


class Marks:
    """Puts a symbol in the place of every intermediate quantity, and remembers what it stands for."""

    def __init__(self) -> None:
        self.found: dict[str, Expr] = {}

    def __call__(self, name: str, value: Any) -> Any:
        """Return the symbol of a quantity, or of each part of one that has parts; what is one already stays."""
        import sympy

        if isinstance(value, tuple):
            fields = getattr(value, "_fields", range(len(value)))
            parts = [self(f"{name}_{field}", part) for field, part in zip(fields, value, strict=True)]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        expression = tidy(value)
        if isinstance(expression, sympy.Symbol) or expression.is_number:
            return expression
        self.found.setdefault(name, expression)
        return symbol(name)
