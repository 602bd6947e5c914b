"""Random numbers of a trial: each a function of seed, replicate, person and purpose, and of nothing else.

A person is the same whatever the number of people or replicates beside them, in whatever block they are computed and
under whatever arm: a trial of 60 is the start of a trial of 100, and two designs are compared on the same people.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.noise import normals, threefry
from kapsim.evidence.ensemble import load_ensemble

Array = NDArray[np.float64]

#: What a key is for; other uses of a seed get other numbers.
_TRIAL = 2
#: Beginnings of the purposes of what is not known about the parameters, alone and together in the posterior.
_UNKNOWN, _JOINT = "uncertainty:", "uncertainty:joint:"
#: Whether replicates differ in the parameters: each draws its own row of what is not known, or all have its middle.
Parameters = Literal["ensemble", "fixed"]


@dataclass(frozen=True)
class TrialDeviates:
    """Standard normal deviates of people in replicates of a trial.

    Parameters
    ----------
    seed : int
        Root of all randomness, 0 to 2^63 − 1.
    replicate, person : ndarray of int, shape (people,)
        Number of each one's replicate, and of the person in it.
    parameters : str
        'ensemble': each replicate has its own draw of the uncertain parameters; 'fixed': all have the middle.
    """

    seed: int
    replicate: NDArray[np.int64]
    person: NDArray[np.int64]
    parameters: Parameters

    def normal(self, purpose: str, count: int) -> Array:
        """Return the deviates of a purpose: one a person, or one a replicate for what is not known."""
        if purpose.startswith(_UNKNOWN):
            return self._unknown(purpose, count)
        assert count == len(self.person), (purpose, count)
        return _normal(self.seed, purpose, self.replicate, self.person)

    def of(self, part: NDArray[np.int64]) -> TrialDeviates:
        """Return the deviates of some of the people, by their places."""
        return TrialDeviates(self.seed, self.replicate[part], self.person[part], self.parameters)

    def table(self, purpose: str, count: int) -> Array:
        """Return `count` deviates of each replicate, shape (replicate, count), in the order of first mention."""
        rows = distinct(self.replicate)
        return _normal(self.seed, purpose, rows[:, None], np.arange(count)[None, :])

    def _unknown(self, purpose: str, count: int) -> Array:
        rows = distinct(self.replicate)
        assert count == len(rows), (purpose, count)
        if self.parameters == "fixed":
            return np.zeros(count)
        if not purpose.startswith(_JOINT):
            return _normal(self.seed, purpose, rows, np.zeros_like(rows))
        # one draw of the posterior decides all of its parameters
        joint = load_ensemble()[purpose.removeprefix(_JOINT)]
        word, _ = _words(self.seed, _JOINT, rows, np.zeros_like(rows))
        return np.asarray(joint[word % len(joint)])


def replicate_seed(seed: int, replicate: int) -> int:
    """Return the seed of what is drawn for one replicate by another generator, 0 to 2^63 − 1."""
    first, second = _words(seed, "replicate", np.asarray([replicate]), np.zeros(1, dtype=np.int64))
    return (int(first[0]) << 31) ^ int(second[0])


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the different numbers in the order of first mention."""
    return np.asarray(list(dict.fromkeys(numbers.tolist())), dtype=np.int64)


def _words(
    seed: int, purpose: str, first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the two words that a counter (replicate, person) has for a seed and a purpose."""
    left, right = np.broadcast_arrays(first, second)
    hashed = threefry(_key(seed, purpose), left.astype(np.uint32), right.astype(np.uint32))
    return np.asarray(hashed[0]), np.asarray(hashed[1])


@functools.lru_cache(maxsize=4096)
def _key(seed: int, purpose: str) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the key of a seed and a purpose, which every block of replicates asks for again."""
    words = np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)[:, None]
    label = np.array([zlib.crc32(purpose.encode())], dtype=np.uint32)
    left, right = threefry((words[0], words[1]), label, np.full(1, _TRIAL, np.uint32))
    return np.asarray(left), np.asarray(right)


def _normal(seed: int, purpose: str, first: NDArray[np.int64], second: NDArray[np.int64]) -> Array:
    return np.asarray(normals(*_words(seed, purpose, first, second))[0])
