"""Formulas of derived parameters: plain arithmetic over evidence values, read by syntax tree, never run as code.

A formula is numbers, ``+ - * / **``, brackets, ``exp``, ``log``, ``sqrt``, and references to evidence: ``{id}`` stands
for the value in its own unit, ``{id in L/h}`` for the value converted.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from kapsim.errors import InputError
from kapsim.units import convert, nearest

__all__ = ["evaluate", "formula_ids", "substitute"]


class Quantity(Protocol):
    """What a formula may refer to: a value, possibly missing, with its unit."""

    @property
    def value(self) -> float | None: ...

    @property
    def unit(self) -> str: ...


_REFERENCE = re.compile(r"\{([^{}]*)\}")
_LONGEST = 1000
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[[float], float]] = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt}


def _split(reference: str) -> tuple[str, str | None]:
    identity, found, unit = reference.partition(" in ")
    return identity.strip(), unit.strip() if found else None


def formula_ids(formula: str) -> tuple[str, ...]:
    """Return the evidence ids that a formula refers to, each once, in order."""
    return tuple(dict.fromkeys(_split(match[1])[0] for match in _REFERENCE.finditer(formula)))


def _lookup(reference: str, evidence: Mapping[str, Quantity]) -> tuple[float, str]:
    identity, unit = _split(reference)
    record = evidence.get(identity)
    if record is None:
        close = nearest(identity, evidence)
        raise InputError(f"no evidence record {identity!r}" + (f"; nearest {close!r}" if close else ""))
    if record.value is None:
        raise InputError(f"the evidence record {identity!r} has no value")
    return (record.value, record.unit) if unit is None else (convert(record.value, record.unit, unit), unit)


def _plain(value: float) -> str:
    text = f"{value:.6g}"
    # A number that is raised to a power or follows a sign keeps its own sign in brackets.
    return f"({text})" if text.startswith("-") else text


def substitute(formula: str, evidence: Mapping[str, Quantity]) -> str:
    """Return the formula with numbers and units in place of the references.

    Parameters
    ----------
    formula : str
        For example ``"2 * {pk.example.cl in L/h} / (1 + 0.845)"``.
    evidence : mapping of str to Quantity
        Evidence records by id.

    Returns
    -------
    str
        For example ``"2 * 75 [L/h] / (1 + 0.845)"``; pure numbers stand without a unit.

    Raises
    ------
    InputError
        If a reference is unknown, has no value, or cannot be converted.
    """

    def number(match: re.Match[str]) -> str:
        value, unit = _lookup(match[1], evidence)
        return _plain(value) if unit == "1" else f"{_plain(value)} [{unit}]"

    return _REFERENCE.sub(number, formula)


def evaluate(formula: str, evidence: Mapping[str, Quantity]) -> float:
    """Compute a formula.

    Parameters
    ----------
    formula : str
        Restricted arithmetic, see the module.
    evidence : mapping of str to Quantity
        Evidence records by id.

    Returns
    -------
    float
        The result, in the unit that the formula works out to.

    Raises
    ------
    InputError
        If the formula is not restricted arithmetic, a reference fails, or the result is not a finite number.
    """
    if len(formula) > _LONGEST:
        raise InputError(f"the formula is longer than {_LONGEST} characters")
    values: dict[str, float] = {}

    def name(match: re.Match[str]) -> str:
        key = f"reference_{len(values)}"
        values[key] = float(_lookup(match[1], evidence)[0])
        return f"({key})"

    text = _REFERENCE.sub(name, formula)
    try:
        result = _value(ast.parse(text.strip(), mode="eval").body, values)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"the formula {formula!r} cannot be computed: {reason}") from None
    except (ZeroDivisionError, OverflowError) as error:
        raise InputError(f"the formula {formula!r} has no finite value: {error}") from None
    if not math.isfinite(result):
        raise InputError(f"the formula {formula!r} has no finite value")
    return result


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id in values:
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        result = _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
        if isinstance(result, complex):
            raise ValueError("a negative number has no broken power")
        return result
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _value(node.operand, values)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        if len(node.args) != 1 or node.keywords:
            raise ValueError(f"{node.func.id} takes one number")
        return _FUNCTIONS[node.func.id](_value(node.args[0], values))
    raise ValueError(f"{ast.unparse(node)[:40]!r} is not allowed; numbers, {{id}}, + - * / **, exp, log and sqrt are")
