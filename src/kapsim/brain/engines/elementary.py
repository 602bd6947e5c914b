"""Elementary functions for compiled loops, each a fixed sequence of IEEE operations.

A loop over regions that holds only these is vectorised by the compiler without any licence to reorder, so that its
result is the same, bit for bit, for one lane or eight, on every processor. Multiply-add is asked for by name, not left
to the compiler. Accuracy: `exponential` and `logarithm` 1e-15 relative, `rectified` 1e-13, sine and cosine 1e-15.

The polynomials are those of fdlibm (Sun Microsystems 1993, freely given) for logarithm, sine and cosine, and the Taylor
series for the exponential.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from kapsim.brain.noise import GROUPS, PARITY, ROTATIONS

# --- operations that the language has no name for ---------------------------------------------------------------------


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """A b + c with one rounding."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), code


@intrinsic
def bits(typing: Any, x: Any) -> Any:
    """The bits of a double as an integer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), code


@intrinsic
def double(typing: Any, x: Any) -> Any:
    """The double that has the bits of an integer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), code


@intrinsic
def threefry(typing: Any, k0: Any, k1: Any, c0: Any, c1: Any) -> Any:
    """Threefry-2x32: the two words of a counter, as `kapsim.brain.noise.threefry`.

    Written in the compiler's own language because numba widens every 32-bit operation to 64 bits.
    """
    word = types.uint32

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def constant(value: int) -> Any:
            return ir.Constant(ir.IntType(32), value)

        k0, k1, x, y = arguments
        schedule = (k0, k1, builder.xor(builder.xor(k0, k1), constant(PARITY)))
        x, y = builder.add(x, k0), builder.add(y, k1)
        for group in range(GROUPS):
            for turn in ROTATIONS[group % 2]:
                x = builder.add(x, y)
                y = builder.or_(builder.shl(y, constant(turn)), builder.lshr(y, constant(32 - turn)))
                y = builder.xor(y, x)
            x = builder.add(x, schedule[(group + 1) % 3])
            y = builder.add(builder.add(y, schedule[(group + 2) % 3]), constant(group + 1))
        return context.make_tuple(builder, signature.return_type, (x, y))

    return types.UniTuple(word, 2)(word, word, word, word), code


# --- functions ------------------------------------------------------------------------------------------------------

_inlined = njit(inline="always", error_model="numpy")

LOG2_E = math.log2(math.e)
#: ln 2 in two parts: a whole number of the first is exact.
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: The bits of √½, from which the mantissa of a logarithm counts.
ROOT_HALF = 0x3FE6A09E667F3BCD
RADIANS = 2.0 * math.pi * 2.0**-32


@_inlined
def exponential(x: float) -> Any:
    """e^x for |x| <= 700."""
    k = np.floor(fma(x, LOG2_E, 0.5))
    r = fma(k, -LN2_LOW, fma(k, -LN2_HIGH, x))
    p = 1.0 / 479001600.0
    p = fma(p, r, 1.0 / 39916800.0)
    p = fma(p, r, 1.0 / 3628800.0)
    p = fma(p, r, 1.0 / 362880.0)
    p = fma(p, r, 1.0 / 40320.0)
    p = fma(p, r, 1.0 / 5040.0)
    p = fma(p, r, 1.0 / 720.0)
    p = fma(p, r, 1.0 / 120.0)
    p = fma(p, r, 1.0 / 24.0)
    p = fma(p, r, 1.0 / 6.0)
    p = fma(p, r, 0.5)
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return p * double((np.int64(k) + 1023) << 52)


@_inlined
def logarithm(x: float) -> Any:
    """Ln x for normal x > 0."""
    whole = bits(x)
    exponent = (whole - ROOT_HALF) >> 52
    f = double(whole - (exponent << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 1.479819860511658591e-01
    p = fma(p, z, 1.531383769920937332e-01)
    p = fma(p, z, 1.818357216161805012e-01)
    p = fma(p, z, 2.222219843214978396e-01)
    p = fma(p, z, 2.857142874366239149e-01)
    p = fma(p, z, 3.999999999940941908e-01)
    p = fma(p, z, 6.666666666666735130e-01)
    half = 0.5 * f * f
    k = np.float64(exponent)
    return fma(k, LN2_HIGH, f - (half - fma(s, fma(p, z, half), k * LN2_LOW)))


@_inlined
def expm1_or_one(x: float) -> Any:
    """e^−x − 1 where `rectified` divides by it, 1 near zero where it does not; the exponent is held within bounds."""
    y = exponential(max(min(-x, 40.0), -700.0)) - 1.0
    return 1.0 if abs(x) < 0.01 else y


@_inlined
def rectified_from(x: float, quotient: float) -> float:
    """X / (1 − e^−x), given −x / `expm1_or_one(x)`: that quotient, or the series near zero."""
    y = x * x
    series = fma(y, fma(y, -1.0 / 720.0, 1.0 / 12.0), fma(x, 0.5, 1.0))
    return series if abs(x) < 0.01 else quotient


@_inlined
def normal_pair(first: int, second: int) -> tuple[float, float]:
    """Two standard normals from two words, as `kapsim.brain.noise.normals`."""
    uniform = fma(np.float64(np.int64(first)), 2.0**-32, 2.0**-33)
    radius = np.sqrt(-2.0 * logarithm(uniform))
    turn = np.int64(second)
    quarter = (turn + (1 << 29)) >> 30
    x = np.float64(turn - (quarter << 30)) * RADIANS  # −π/4 to π/4
    z = x * x
    s = 1.58969099521155010221e-10
    s = fma(s, z, -2.50507602534068634195e-08)
    s = fma(s, z, 2.75573137070700676789e-06)
    s = fma(s, z, -1.98412698298579493134e-04)
    s = fma(s, z, 8.33333333332248946124e-03)
    s = fma(s, z, -1.66666666666666324348e-01)
    sine = fma(s * z, x, x)
    c = -1.13596475577881948265e-11
    c = fma(c, z, 2.08757232129817482790e-09)
    c = fma(c, z, -2.75573143513906633035e-07)
    c = fma(c, z, 2.48015872894767294178e-05)
    c = fma(c, z, -1.38888888888741095749e-03)
    c = fma(c, z, 4.16666666666666019037e-02)
    c = fma(c, z, -0.5)
    cosine = fma(c, z, 1.0)
    odd = (quarter & 1) != 0
    across, up = (sine if odd else cosine), (cosine if odd else sine)
    across = -across if ((quarter + 1) & 2) != 0 else across
    up = -up if (quarter & 2) != 0 else up
    return radius * across, radius * up
