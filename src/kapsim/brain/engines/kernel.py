"""The compiled loop: mean field, noise and balloon of one simulation, from volume to volume.

Euler-Maruyama steps as `MeanField.rates` has them, with everything that does not change folded into coefficients by
region. Arrays are padded to a multiple of the lanes; what stands beyond the regions is computed along and never read.

Every function is a fixed sequence of IEEE operations, so that the compiler vectorises a loop over regions without any
licence to reorder, and a simulation has the same bits wherever it runs, eight regions at a time or one. Multiply-add is
asked for by name, not left to the compiler. Accuracy: `exponential` and `logarithm` 1e-15 relative, `rectified_from`
2e-14, sine and cosine 1e-15. Their polynomials are those of fdlibm (Sun Microsystems 1993, freely given), and the
Taylor series for the exponential.

All of it is one file because numba keeps compiled code by the function's file, and does not see a change in others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from kapsim.brain.noise import GROUPS, PARITY, ROTATIONS

#: Regions are padded to a multiple of this, and rows of the matrix are taken four at a time.
LANES = 8
#: Rows of the coefficients, shape (row, region).
BASE_E, RECURRENT, ARRIVING, INHIBITION, BASE_I, ONTO_I, SELF_I, LEAK_E, OPENING_E, LEAK_I, OPENING_I, NOISE = range(12)
#: Rows of what is added up over a volume.
GATING, FIRING = range(2)

_inlined = njit(error_model="numpy", inline="always")


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile a function on first use, and keep it on disk where there is a place to."""
    try:
        return njit(error_model="numpy", nogil=True, cache=True)(function)
    except RuntimeError:  # no folder can be written
        return njit(error_model="numpy", nogil=True)(function)


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


# --- the loop -------------------------------------------------------------------------------------------------------


@_inlined
def arrive(weights: Any, gating: Any, arriving: Any) -> None:
    """Sum over sources of weight × gating; `weights` has sources as rows."""
    for i in range(arriving.shape[0]):
        arriving[i] = 0.0
    for j in range(0, gating.shape[0], 4):
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        s0, s1, s2, s3 = gating[j], gating[j + 1], gating[j + 2], gating[j + 3]
        for i in range(arriving.shape[0]):
            arriving[i] = fma(w3[i], s3, fma(w2[i], s2, fma(w1[i], s1, fma(w0[i], s0, arriving[i]))))


@_compiled
def arrive_late(weights: Any, delays: Any, history: Any, slot: int, arriving: Any) -> None:
    """The same with a delay of whole steps for each pair; `history` is a ring of past gating, `slot` the present."""
    length = history.shape[0]
    for i in range(arriving.shape[0]):
        arriving[i] = 0.0
    for j in range(delays.shape[0]):
        for i in range(delays.shape[1]):
            past = slot - delays[j, i]
            if past < 0:
                past += length
            arriving[i] = fma(weights[j, i], history[past, j], arriving[i])


@_compiled
def draw(key: Any, first: int, words: Any, noise: Any) -> None:
    """Fill `noise`, shape (step, 2, region), from step `first` on; `words` is room for a step's hashes."""
    one, two = words[0], words[1]
    for step in range(noise.shape[0]):
        count = np.uint32(first + step)
        on_e, on_i = noise[step, 0], noise[step, 1]
        for i in range(on_e.shape[0]):
            one[i], two[i] = threefry(key[0], key[1], count, np.uint32(i))
        for i in range(on_e.shape[0]):
            on_e[i], on_i[i] = normal_pair(one[i], two[i])


@_compiled
def move(c: Any, arriving: Any, gating_e: Any, gating_i: Any, noise_e: Any, noise_i: Any, firing: Any) -> None:
    """One step of both pools; leaves in `firing` the excitatory rate times the curvature."""
    for i in range(gating_e.shape[0]):
        e, s = np.float64(gating_e[i]), np.float64(gating_i[i])
        x = fma(
            c[INHIBITION, i], s, fma(c[ARRIVING, i], np.float64(arriving[i]), fma(c[RECURRENT, i], e, c[BASE_E, i]))
        )
        y = fma(c[SELF_I, i], s, fma(c[ONTO_I, i], e, c[BASE_I, i]))
        # two quotients for the price of one
        p, q = expm1_or_one(x), expm1_or_one(y)
        inverse = -1.0 / (p * q)
        rate_e, rate_i = rectified_from(x, x * q * inverse), rectified_from(y, y * p * inverse)
        e = fma(c[NOISE, i], noise_e[i], fma((1.0 - e) * c[OPENING_E, i], rate_e, fma(c[LEAK_E, i], e, e)))
        s = fma(c[NOISE, i], noise_i[i], fma(c[OPENING_I, i], rate_i, fma(c[LEAK_I, i], s, s)))
        gating_e[i], gating_i[i] = min(max(e, 0.0), 1.0), min(max(s, 0.0), 1.0)
        firing[i] = rate_e


@_inlined
def vessel_rates(h: Any, drive: float, s: float, f: float, v: float, q: float) -> Any:
    """Change of a region's vessels per second, as `Balloon.rates`; `h` holds the constants."""
    leaving = exponential(logarithm(v) * h[3])
    extracted = 1.0 - exponential(h[4] / f)
    return (
        drive - h[0] * s - h[1] * (f - 1.0),
        s,
        (f - leaving) * h[2],
        (f * extracted * h[5] - leaving * q / v) * h[2],
    )


@_compiled
def inflate(h: Any, seconds: float, gating: Any, s: Any, f: Any, v: Any, q: Any) -> None:
    """One step of the vessels, Heun's method."""
    for i in range(gating.shape[0]):
        z = np.float64(gating[i])
        s1, f1, v1, q1 = vessel_rates(h, z, s[i], f[i], v[i], q[i])
        s2, f2, v2, q2 = vessel_rates(
            h, z, s[i] + seconds * s1, f[i] + seconds * f1, v[i] + seconds * v1, q[i] + seconds * q1
        )
        s[i] += 0.5 * seconds * (s1 + s2)
        f[i] += 0.5 * seconds * (f1 + f2)
        v[i] += 0.5 * seconds * (v1 + v2)
        q[i] += 0.5 * seconds * (q1 + q2)


@_compiled
def advance(
    weights: Any,
    delays: Any,
    history: Any,
    c: Any,
    haemo: Any,
    seconds: float,
    key: Any,
    given: Any,
    first: int,
    count: int,
    base: int,
    steps: int,
    samples: int,
    gating: Any,
    vessels: Any,
    sums: Any,
    trace: Any,
) -> None:
    """Run some samples of a simulation, a sample being a step of the vessels.

    Parameters
    ----------
    weights : ndarray, shape (source, region)
    delays : ndarray of int, shape (source, region), or empty
        In steps.
    history : ndarray, shape (ring, source), or empty
        Past gating; the ring's place of step n is n modulo its length.
    c : ndarray of float64, shape (12, region)
        Coefficients.
    haemo : ndarray of float64, shape (6,)
    seconds : float
        Step of the vessels.
    key : ndarray of uint32, shape (2,)
    given : ndarray of float64, shape (step, 2, region), or empty
        Noise to use in place of what the key makes.
    first, count, base : int
        Number of the first sample, how many, and the sample at which the first row of `sums` begins.
    steps, samples : int
        Steps in a sample, and samples in a volume.
    gating : ndarray, shape (2, region)
        State; changed in place, as are `vessels` (4, region) and `history`.
    sums : ndarray of float64, shape (volume, 6, region)
        For each volume the mean gating, the mean rate times curvature, and the vessels at its end; zeros at first.
    trace : ndarray of float64, shape (sample, 2, region), or empty
        Receives the state after each sample.
    """
    width = gating.shape[1]
    arriving = np.zeros(width, gating.dtype)
    firing = np.zeros(width)
    noise = np.zeros((steps, 2, width))
    words = np.zeros((2, width), np.uint32)
    gating_e, gating_i = gating[0], gating[1]
    signal, flow, volume, deoxy = vessels[0], vessels[1], vessels[2], vessels[3]
    late, prescribed, traced = delays.size > 0, given.size > 0, trace.size > 0
    at = first * steps  # number of the step
    for sample in range(first, first + count):
        if not prescribed:
            draw(key, at, words, noise)
        for step in range(steps):
            if late:
                slot = at % history.shape[0]
                for i in range(history.shape[1]):
                    history[slot, i] = gating_e[i]
                arrive_late(weights, delays, history, slot, arriving)
            else:
                arrive(weights, gating_e, arriving)
            if prescribed:
                row = at - first * steps
                move(c, arriving, gating_e, gating_i, given[row, 0], given[row, 1], firing)
            else:
                move(c, arriving, gating_e, gating_i, noise[step, 0], noise[step, 1], firing)
            at += 1
        inflate(haemo, seconds, gating_e, signal, flow, volume, deoxy)
        if traced:
            for i in range(width):
                trace[sample - base, 0, i] = gating_e[i]
                trace[sample - base, 1, i] = gating_i[i]
        image = (sample - base) // samples
        total, rate = sums[image, GATING], sums[image, FIRING]
        for i in range(width):
            total[i] += gating_e[i]
            rate[i] += firing[i]
        if (sample - base + 1) % samples == 0:
            for i in range(width):
                total[i] /= samples
                rate[i] /= samples
                sums[image, 2, i] = signal[i]
                sums[image, 3, i] = flow[i]
                sums[image, 4, i] = volume[i]
                sums[image, 5, i] = deoxy[i]
