"""Arithmetic on eight patients at a time, in the compiler's own language.

Every operation is a fixed sequence of IEEE operations on vectors of eight doubles, so a patient has the same bits
whoever stands beside them. The functions that processors lack are polynomials, those of fdlibm (Sun Microsystems 1993,
freely given) for the logarithm and the Taylor series for the exponential; both are within 1e-15 of the value. What is
no number stays no number, so that whoever looks at the result sees it.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from kapsim.engine.exponential import LANES

DOUBLE, INTEGER, POINTER = ir.DoubleType(), ir.IntType(64), ir.PointerType()
VECTOR, WHOLES = ir.VectorType(DOUBLE, LANES), ir.VectorType(INTEGER, LANES)
#: Bytes of a vector, and how far arrays are sure to be aligned.
WIDTH, ALIGN = 8 * LANES, 8
#: A sum and a product may be rounded once.
_JOINED = ("contract",)

_LOG2_E = math.log2(math.e)
#: ln 2 in two parts: a whole number of the first is exact.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: Added to a number it leaves the nearest whole number in the lowest bits.
_SHIFTER = 1.5 * 2.0**52
#: Beyond these e^x is no normal number.
_HIGHEST, _LOWEST = 709.78, -708.39
#: 2^52 as bits, the bits of 1.0, and those of √½, from which the mantissa of a logarithm counts.
_TWO_52, _ONE, _ROOT_HALF = 0x4330000000000000, 0x3FF0000000000000, 0x3FE6A09E667F3BCD
_LOG_SERIES = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_EXP_TERMS = 13


def splat(value: float) -> Any:
    """Return a number in all lanes."""
    return ir.Constant(VECTOR, [ir.Constant(DOUBLE, float(value))] * LANES)


def _wholes(value: int) -> Any:
    return ir.Constant(WHOLES, [ir.Constant(INTEGER, value)] * LANES)


class Vectors:
    """Writes operations on vectors where its builder stands."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.module = builder.module

    # --- memory ---------------------------------------------------------------------------------------------------

    def at(self, pointer: Any, place: Any) -> Any:
        """Return a pointer to the vector number `place` (an integer of either language)."""
        place = ir.Constant(INTEGER, place) if isinstance(place, int) else place
        return self.builder.gep(pointer, [place], source_etype=VECTOR)

    def load(self, pointer: Any, place: Any = 0) -> Any:
        """Return the vector number `place`."""
        return self.builder.load(self.at(pointer, place), align=ALIGN, typ=VECTOR)

    def store(self, value: Any, pointer: Any, place: Any = 0) -> None:
        """Store a vector as number `place`."""
        self.builder.store(value, self.at(pointer, place), align=ALIGN)

    # --- what processors have ---------------------------------------------------------------------------------------

    def add(self, x: Any, y: Any) -> Any:
        """Return x + y."""
        return self.builder.fadd(x, y, flags=_JOINED)

    def subtract(self, x: Any, y: Any) -> Any:
        """Return x − y."""
        return self.builder.fsub(x, y, flags=_JOINED)

    def multiply(self, x: Any, y: Any) -> Any:
        """Return x y."""
        return self.builder.fmul(x, y, flags=_JOINED)

    def divide(self, x: Any, y: Any) -> Any:
        """Return x / y."""
        return self.builder.fdiv(x, y)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """Return x y + z with one rounding."""
        return self._call("llvm.fma", x, y, z)

    def negative(self, x: Any) -> Any:
        """Return −x."""
        return self.builder.fneg(x)

    def absolute(self, x: Any) -> Any:
        """Return |x|."""
        return self._call("llvm.fabs", x)

    def sqrt(self, x: Any) -> Any:
        """Return √x."""
        return self._call("llvm.sqrt", x)

    def maximum(self, x: Any, y: Any) -> Any:
        """Return the larger; no number where either is none."""
        larger = self._where(self.builder.fcmp_unordered(">", x, y), x, y)
        return (
            larger if isinstance(y, ir.Constant) else self._where(self.builder.fcmp_unordered("uno", y, y), y, larger)
        )

    def minimum(self, x: Any, y: Any) -> Any:
        """Return the smaller; no number where either is none."""
        return self._kept(y, self._where(self.builder.fcmp_unordered("<", x, y), x, y))

    def less(self, x: Any, y: Any) -> Any:
        """Return 1 where x < y, else 0."""
        return self._where(self.builder.fcmp_ordered("<", x, y), splat(1.0), splat(0.0))

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        """Return x where the condition is not 0, else y."""
        return self._where(self.builder.fcmp_ordered("!=", condition, splat(0.0)), x, y)

    def if_within(self, x: Any, bound: Any, value: Any) -> Any:
        """Return the value where x is at most the bound, else what is no number."""
        return self._where(self.builder.fcmp_ordered("<=", x, bound), value, splat(math.nan))

    # --- what they lack ---------------------------------------------------------------------------------------------

    def exp(self, x: Any) -> Any:
        """Return e^x, held between the smallest and the largest normal number."""
        grown, scale = self._exponential(x)
        return self.fma(grown, scale, scale)

    def expm1(self, x: Any) -> Any:
        """Return e^x − 1, with all its digits near zero."""
        grown, scale = self._exponential(x)
        return self.fma(grown, scale, self.builder.fsub(scale, splat(1.0)))

    def tanh(self, x: Any) -> Any:
        """Return the hyperbolic tangent."""
        fallen = self.expm1(self.builder.fmul(self.absolute(x), splat(-2.0)))
        size = self.divide(self.negative(fallen), self.builder.fadd(fallen, splat(2.0)))
        return self._call("llvm.copysign", size, x)

    def log(self, x: Any) -> Any:
        """Return the natural logarithm, −∞ at 0 and no number below."""
        builder = self.builder
        bits = builder.bitcast(x, WHOLES)
        exponent = builder.lshr(builder.add(bits, _wholes(_ONE - _ROOT_HALF)), _wholes(52))
        away = builder.shl(builder.sub(exponent, _wholes(1023)), _wholes(52))
        f = builder.fsub(builder.bitcast(builder.sub(bits, away), VECTOR), splat(1.0))
        # a small whole number beside the bits of 2^52 is 2^52 plus that number
        counted = builder.bitcast(builder.or_(exponent, _wholes(_TWO_52)), VECTOR)
        k = builder.fsub(counted, splat(2.0**52 + 1023.0))
        s = builder.fdiv(f, builder.fadd(f, splat(2.0)))
        z = builder.fmul(s, s)
        p = splat(_LOG_SERIES[0])
        for term in _LOG_SERIES[1:]:
            p = self.fma(p, z, splat(term))
        half = builder.fmul(builder.fmul(f, splat(0.5)), f)
        rest = self.fma(s, self.fma(p, z, half), builder.fmul(k, splat(_LN2_LOW)))
        value = self.fma(k, splat(_LN2_HIGH), builder.fsub(f, builder.fsub(half, rest)))
        at_zero = self._where(builder.fcmp_ordered("==", x, splat(0.0)), splat(-math.inf), splat(math.nan))
        inside = builder.and_(builder.fcmp_ordered(">", x, splat(0.0)), builder.fcmp_ordered("<", x, splat(math.inf)))
        return self._where(inside, value, at_zero)

    def log1p(self, x: Any) -> Any:
        """Return ln(1 + x), with all its digits near zero."""
        whole = self.builder.fadd(x, splat(1.0))
        lost = self.builder.fsub(x, self.builder.fsub(whole, splat(1.0)))
        return self.add(self.log(whole), self.divide(lost, whole))

    def power(self, x: Any, n: Any) -> Any:
        """Return x^n for x > 0."""
        return self.exp(self.multiply(n, self.log(x)))

    def _exponential(self, x: Any) -> tuple[Any, Any]:
        """Return (e^r − 1) and 2^k of e^x = 2^k e^r."""
        builder = self.builder
        x = self._where(builder.fcmp_ordered(">", x, splat(_HIGHEST)), splat(_HIGHEST), x)
        x = self._where(builder.fcmp_ordered("<", x, splat(_LOWEST)), splat(_LOWEST), x)
        shifted = self.fma(x, splat(_LOG2_E), splat(_SHIFTER))
        k = builder.fsub(shifted, splat(_SHIFTER))
        r = self.fma(k, splat(-_LN2_LOW), self.fma(k, splat(-_LN2_HIGH), x))
        p = splat(1.0 / math.factorial(_EXP_TERMS))
        for term in range(_EXP_TERMS - 1, 0, -1):
            p = self.fma(p, r, splat(1.0 / math.factorial(term)))
        exponent = builder.shl(builder.add(builder.bitcast(shifted, WHOLES), _wholes(1023)), _wholes(52))
        return builder.fmul(p, r), builder.bitcast(exponent, VECTOR)

    def _kept(self, y: Any, otherwise: Any) -> Any:
        """Return y where it is no number."""
        if isinstance(y, ir.Constant):
            return otherwise
        return self._where(self.builder.fcmp_unordered("uno", y, y), y, otherwise)

    def _where(self, condition: Any, x: Any, y: Any) -> Any:
        return self.builder.select(condition, x, y)

    def _call(self, name: str, *operands: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR] * len(operands))
        found = self.module.globals.get(f"{name}.v{LANES}f64")
        return self.builder.call(found or ir.Function(self.module, kind, f"{name}.v{LANES}f64"), operands)
