"""Noise by counter: the normal numbers of a region at a step are a function of (seed, simulation, region, step).

Nothing is drawn in order, so a result does not depend on chunks, batches or threads, and two engines can have the same
noise. The counter is hashed by Threefry-2x32 with 20 rounds (Salmon 2011, the generator that JAX itself uses), and the
two words become the two normals of the region's pools by the Box-Muller transform. A normal has the resolution of a
32-bit word; its largest size is 6.8.

Here for whole arrays, of NumPy or JAX; `engines/kernel.py` has the same for one number inside compiled loops.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError

#: Constants of Threefry-2x32: rotations of each round, in turn, and the parity of the key schedule.
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
GROUPS = 5  # of four rounds
WORD = 2.0**-32
MOST_STEPS = 2**32
MOST_SEED = 2**64
#: What a key is for; other uses of a seed get other numbers.
DYNAMICS = 1


def threefry(key: tuple[Any, Any], first: Any, second: Any) -> tuple[Any, Any]:
    """Return the two words that Threefry-2x32 makes of a counter.

    Parameters
    ----------
    key : pair of uint32 arrays
    first, second : uint32 arrays
        Words of the counter; all arrays broadcast against each other.

    Returns
    -------
    pair of uint32 arrays
    """
    schedule = (*key, key[0] ^ key[1] ^ np.uint32(PARITY))
    x, y = first + key[0], second + key[1]
    for group in range(GROUPS):
        for turn in ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
            y = y ^ x
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def simulation_keys(seed: int, simulations: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the key of each simulation's noise.

    Parameters
    ----------
    seed : int
        0 to 2^64 − 1.
    simulations : ndarray of int, shape (simulation,)
        Numbers of the simulations, 0 to 2^32 − 1.

    Raises
    ------
    InputError
        If the seed or a number is out of range.
    """
    if not 0 <= seed < MOST_SEED:
        raise InputError(f"seed {seed} is out of range; give a whole number from 0 to 2^64 - 1")
    numbers = np.asarray(simulations)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < MOST_STEPS:
        raise InputError("a simulation's number is out of range; give whole numbers from 0 to 2^32 - 1")
    words = np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)[:, None]
    first, second = threefry(
        (words[0], words[1]), numbers.astype(np.uint32), np.full(numbers.shape, DYNAMICS, np.uint32)
    )
    return first, second


def normals(first: Any, second: Any, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Return two independent standard normals from the two words of a hash.

    Parameters
    ----------
    first, second : uint32 arrays
        NumPy's or JAX's.
    dtype : dtype, optional
        In which to compute.
    """
    if isinstance(first, np.ndarray):
        xp: Any = np
    else:
        import jax.numpy as xp
    uniform = (first.astype(dtype) + 0.5) * WORD
    # the signed angle, −π to π, keeps more digits than 0 to 2π
    angle = second.astype(np.int32).astype(dtype) * (2.0 * math.pi * WORD)
    radius = xp.sqrt(-2.0 * xp.log(uniform))
    return radius * xp.cos(angle), radius * xp.sin(angle)


def step_noise(key: tuple[Any, Any], steps: Any, regions: Any, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Return the noise of both pools, shape (step, region) each.

    Parameters
    ----------
    key : pair of uint32 arrays, shape ()
    steps : uint32 array, shape (step,)
        Numbers of the steps from the start of the simulation.
    regions : uint32 array, shape (region,)
    dtype : dtype, optional
    """
    return normals(*threefry(key, steps[:, None], regions[None, :]), dtype)
