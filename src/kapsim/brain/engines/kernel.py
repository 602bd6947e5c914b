"""The compiled loop: mean field, noise and balloon of one simulation, from volume to volume.

Euler-Maruyama steps as `MeanField.rates` has them, with everything that does not change folded into coefficients by
region. Every sum has a fixed order (see `elementary`), so a simulation has the same bits wherever it runs. Arrays are
padded to a multiple of the lanes; what stands beyond the regions is computed along and never read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kapsim.brain.engines.elementary import (
    expm1_or_one,
    exponential,
    fma,
    logarithm,
    normal_pair,
    rectified_from,
    threefry,
)

#: Regions are padded to a multiple of this, and rows of the matrix are taken four at a time.
LANES = 8
#: Rows of the coefficients, shape (row, region).
BASE_E, RECURRENT, ARRIVING, INHIBITION, BASE_I, ONTO_I, SELF_I, LEAK_E, OPENING_E, LEAK_I, OPENING_I, NOISE = range(12)
#: Rows of what is added up over a volume.
GATING, FIRING = range(2)

_compiled = njit(error_model="numpy", nogil=True, cache=True)
_inlined = njit(error_model="numpy", inline="always")


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
