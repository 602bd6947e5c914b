"""The few operators that rate equations may use besides plain arithmetic.

Each works on floats, NumPy arrays, JAX arrays and SymPy expressions, so that an equation written once can be run,
differentiated, exported and typeset. `power` and `positive_part` are smooth at zero: value and gradient are
finite there (the gradient is zero at exactly zero), which keeps derivatives and the order of the solver.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

#: What rates are computed on: float, array or symbol. The equations do not care which.
Value = Any

#: Width of the smooth corner of `power` at zero.
CORNER = 1e-8
LOG_CORNER = math.log(CORNER)

#: What NumPy computes with, and no other library: the bulk of all calls, told apart at a glance.
_PLAIN = frozenset({float, int, np.ndarray, np.float64})

#: Where `rectified` goes by its series: the first term left out is then below 1e-16.
SERIES = 0.01


def _library(*values: Value) -> str:
    """Name the array library that `values` belong to: 'sympy', 'jax' or 'numpy'."""
    others = [value for value in values if type(value) not in _PLAIN]
    if others:
        sympy, jax = sys.modules.get("sympy"), sys.modules.get("jax")
        if sympy is not None and any(isinstance(value, sympy.Basic) for value in others):
            return "sympy"
        if jax is not None and any(isinstance(value, jax.Array) for value in others):
            return "jax"
    return "numpy"


def _call(name: str, *values: Value) -> Value:
    library = _library(*values)
    if library == "sympy":
        import sympy

        if name == "log1p":
            return sympy.log(1 + values[0])
        if name == "expm1":
            return sympy.exp(values[0]) - 1
        if name in ("maximum", "minimum"):
            # which of two long expressions is the larger is never known, and sympy looks for it for seconds
            known = all(sympy.sympify(value).is_number for value in values)
            return {"maximum": sympy.Max, "minimum": sympy.Min}[name](*values, evaluate=known)
        return getattr(sympy, name)(*values)
    if library == "jax":
        import jax.numpy as jnp

        return getattr(jnp, name)(*values)
    return getattr(np, name)(*values)


def exp(x: Value) -> Value:
    """Return e to the power x."""
    return _call("exp", x)


def log(x: Value) -> Value:
    """Return the natural logarithm of x, for x > 0."""
    return _call("log", x)


def sqrt(x: Value) -> Value:
    """Return the square root of x, for x > 0."""
    return _call("sqrt", x)


def minimum(x: Value, y: Value) -> Value:
    """Return the smaller of x and y."""
    return _call("minimum", x, y)


def maximum(x: Value, y: Value) -> Value:
    """Return the larger of x and y."""
    return _call("maximum", x, y)


def power(x: Value, n: Value) -> Value:
    """Return x to the power n for x >= 0, exactly zero and with a finite gradient at x = 0.

    `(x² + c²)^(n/2) − c^n` with the corner c = 1e-8: it differs from x^n by at most c^n for n <= 2.
    On symbols it is x^n itself: the corner is numerics, not a part of the equations.
    """
    if _library(x, n) == "sympy":
        return x**n
    grown = 0.5 * n * _call("log1p", (x / CORNER) * (x / CORNER))
    return exp(n * LOG_CORNER) * _call("expm1", grown)


def hill(x: Value, n: Value | None = None) -> Value:
    """Return x^n / (1 + x^n), the share bound at a drive x >= 0 (1 is the half-effect point); n is 1 if left out."""
    raised = x if n is None else power(x, n)
    return raised / (1.0 + raised)


def positive_part(x: Value, width: Value) -> Value:
    """Return x where x is far above `width` and 0 below zero, with two continuous derivatives: p³ / (p² + width²)."""
    p = maximum(x, 0.0)
    return p * p * p / (p * p + width * width)


def expit(x: Value) -> Value:
    """Return the logistic function 1 / (1 + e^−x), without overflow for any real x."""
    if _library(x) == "sympy":
        return 1 / (1 + exp(-x))
    return 0.5 * (1.0 + _call("tanh", 0.5 * x))


def rectified(x: Value) -> Value:
    """Return x / (1 − e^−x): about x where x is large, 0 far below zero, 1 at zero, smooth everywhere.

    Near zero it is its series, so that value and gradient keep their digits; the exponent is held below 40, where the
    value is 1e-15.
    """
    if _library(x) == "sympy":
        return x / (1 - exp(-x))
    near = _call("abs", x) < SERIES
    far = -_call("where", near, 1.0, x)
    y = x * x
    series = 1.0 + x / 2.0 + y / 12.0 - y * y / 720.0
    return _call("where", near, series, far / _call("expm1", minimum(far, 40.0)))


def rectified_slope(x: Value) -> Value:
    """Return the derivative of `rectified` at x, 0 to 1: with f its value, f + f (1 − f) / x, a series near zero."""
    if _library(x) == "sympy":
        import sympy

        at = sympy.Dummy()
        return sympy.diff(rectified(at), at).subs(at, x)
    near = _call("abs", x) < SERIES
    far = _call("where", near, 1.0, x)
    f = rectified(far)
    y = x * x
    series = 0.5 + x * (1.0 / 6.0 - y / 180.0 + y * y / 5040.0)
    return _call("where", near, series, f + f * (1.0 - f) / far)
