"""Noise by counter: the generator is the one it says, and what it makes is white, normal and independent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from kapsim.brain.engines import kernel
from kapsim.brain.noise import normals, simulation_keys, step_noise, threefry
from kapsim.engine.runtime import jax_numpy
from kapsim.errors import InputError

Array = NDArray[np.float64]
WORDS = st.integers(0, 2**32 - 1)


def field(seed: int, simulation: int, steps: int, regions: int, first: int = 0) -> Array:
    """Return noise, shape (2, step, region), by whole arrays."""
    key = [words[0] for words in simulation_keys(seed, np.array([simulation]))]
    counts = np.arange(first, first + steps, dtype=np.uint32)
    return np.stack(step_noise((key[0], key[1]), counts, np.arange(regions, dtype=np.uint32)))


def compiled(seed: int, simulation: int, steps: int, width: int, first: int = 0) -> Array:
    """Return the same as the compiled loop makes it."""
    key = np.array([words[0] for words in simulation_keys(seed, np.array([simulation]))])
    noise = np.empty((steps, 2, width))
    kernel.draw(key, first, np.zeros((2, width), np.uint32), noise)
    return noise.transpose(1, 0, 2)


# --- the generator --------------------------------------------------------------------------------------------------


@settings(deadline=None)  # jax compiles
@given(WORDS, WORDS, st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_the_hash_is_the_one_of_jax(one: int, two: int, counters: list[tuple[int, int]]) -> None:
    from jax.extend.random import threefry_2x32

    jax = jax_numpy()
    first, second = (np.array(column, dtype=np.uint32) for column in zip(*counters, strict=True))
    key = jax.numpy.array([one, two], dtype=np.uint32)
    theirs = threefry_2x32(key, jax.numpy.concatenate([first, second]))
    ours = threefry((np.array([one], np.uint32), np.array([two], np.uint32)), first, second)
    np.testing.assert_array_equal(np.concatenate(ours), theirs)


def test_the_hash_gives_the_known_answers_of_its_authors() -> None:
    """Threefry-2x32, 20 rounds: kat_vectors of Random123."""
    ones = 0xFFFFFFFF
    known = [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((ones, ones), (ones, ones), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ]
    for key, counter, answer in known:
        words = [np.array([word], np.uint32) for word in (*key, *counter)]
        assert tuple(int(word[0]) for word in threefry((words[0], words[1]), words[2], words[3])) == answer


@pytest.mark.parametrize("first", [0, 12_345, 2**32 - 64])
def test_compiled_whole_array_and_jax_noise_are_the_same(first: int) -> None:
    jax = jax_numpy()
    ours, plain = compiled(5, 3, 64, 104, first), field(5, 3, 64, 104, first)
    np.testing.assert_allclose(ours, plain, rtol=1e-14, atol=1e-15)
    key = [jax.numpy.asarray(words[0]) for words in simulation_keys(5, np.array([3]))]
    counts = jax.numpy.arange(64, dtype=np.uint32) + np.uint32(first)
    traced = step_noise((key[0], key[1]), counts, jax.numpy.arange(104, dtype=np.uint32))
    np.testing.assert_allclose(np.stack(traced), plain, rtol=1e-13, atol=1e-14)


def test_noise_of_a_step_does_not_depend_on_where_drawing_began() -> None:
    whole = compiled(9, 0, 100, 104)
    np.testing.assert_array_equal(compiled(9, 0, 40, 104, first=60), whole[:, 60:])
    np.testing.assert_array_equal(compiled(9, 0, 100, 8), whole[:, :, :8])


# --- elementary functions -------------------------------------------------------------------------------------------


def test_elementary_functions_keep_their_digits() -> None:
    from numba import njit, vectorize

    x = np.concatenate([np.linspace(-700.0, 700.0, 20_001), np.linspace(-1.0, 1.0, 20_001)])
    exponential = vectorize(["float64(float64)"])(lambda v: kernel.exponential(v))
    np.testing.assert_allclose(exponential(x), np.exp(x), rtol=1e-15)
    logarithm = vectorize(["float64(float64)"])(lambda v: kernel.logarithm(v))
    positive = np.exp(np.linspace(-700.0, 700.0, 20_001))
    np.testing.assert_allclose(logarithm(positive), np.log(positive), rtol=1e-15, atol=1e-15)
    near = 1.0 + np.linspace(-1e-3, 1e-3, 2_001)
    np.testing.assert_allclose(logarithm(near), np.log(near), rtol=1e-14)

    @njit(error_model="numpy")
    def rectify(x: Array, out: Array) -> None:
        for i in range(len(x)):
            out[i] = kernel.rectified_from(x[i], -x[i] / kernel.expm1_or_one(x[i]))

    from kapsim.mechanisms.operators import rectified

    x = np.concatenate([np.linspace(-39.0, 700.0, 20_001), np.linspace(-0.02, 0.02, 2_001), [0.0]])
    out = np.empty_like(x)
    rectify(x, out)
    np.testing.assert_allclose(out, rectified(x), rtol=2e-14)


# --- what it makes --------------------------------------------------------------------------------------------------

STEPS, WIDTH = 20_000, 104
DRAWN = compiled(2026, 0, STEPS, WIDTH)
COUNT = DRAWN.size
#: Standard errors beyond which chance does not go: once in 10^7.
FAR = 5.3


def test_moments_are_those_of_a_standard_normal() -> None:
    z = DRAWN.ravel()
    for power, mean, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)):
        assert abs((z**power).mean() - mean) < FAR * np.sqrt(variance / COUNT), power


def test_the_whole_distribution_and_its_tails_are_normal() -> None:
    z = DRAWN.ravel()
    assert stats.kstest(z, "norm").pvalue > 1e-6
    for bound in (2.0, 3.0, 4.0, 4.8):
        expected = COUNT * stats.norm.sf(bound)
        for found in ((z > bound).sum(), (z < -bound).sum()):
            assert stats.poisson.cdf(found, expected) > 1e-7, bound
            assert stats.poisson.sf(found - 1, expected) > 1e-7, bound
    extreme = normals(np.array([0], np.uint32), np.array([0], np.uint32))
    assert 6.7 < float(extreme[0][0]) < 6.9


def test_noise_is_white_in_time() -> None:
    for lag in (1, 2, 3, 7, 10, 100, 1000):
        products = DRAWN[:, lag:] * DRAWN[:, :-lag]
        assert abs(products.mean()) < FAR / np.sqrt(products.size), lag


def test_regions_pools_simulations_and_seeds_are_independent() -> None:
    between = np.corrcoef(DRAWN.transpose(0, 2, 1).reshape(2 * WIDTH, STEPS))
    off = between[~np.eye(2 * WIDTH, dtype=bool)]
    assert np.abs(off).max() < 6.0 / np.sqrt(STEPS)
    assert abs(off.std() * np.sqrt(STEPS) - 1.0) < 0.05
    others = {
        "simulation": compiled(2026, 1, STEPS, WIDTH),
        "seed": compiled(2027, 0, STEPS, WIDTH),
        "high word of the seed": compiled(2026 + 2**32, 0, STEPS, WIDTH),
    }
    for name, other in others.items():
        assert abs((DRAWN * other).mean()) < FAR / np.sqrt(COUNT), name
        assert abs(((DRAWN**2 - 1.0) * (other**2 - 1.0)).mean()) < FAR * 2.0 / np.sqrt(COUNT), name
    assert abs((DRAWN[0] ** 2 * DRAWN[1] ** 2).mean() - 1.0) < FAR * np.sqrt(8.0 / (COUNT / 2)), "pools of a region"


def test_keys_refuse_what_is_out_of_range() -> None:
    with pytest.raises(InputError, match=r"^seed -1 is out of range; give a whole number from 0 to 2\^64 - 1$"):
        simulation_keys(-1, np.array([0]))
    with pytest.raises(InputError, match="a simulation's number is out of range"):
        simulation_keys(0, np.array([-1]))
