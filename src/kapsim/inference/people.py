"""A few people of a group, spread evenly over how people differ: what a fit evaluates instead of hundreds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kapsim.evidence import Parameter
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.validation.groups import GroupKey, group_registry

Array = NDArray[np.float64]

#: People of a group in each evaluation of the kinetics.
FEW = 16
_UNKNOWN = "uncertainty:"


class Even(NamedTuple):
    """Deviates spread evenly over the normal law, in an order of their own for each purpose, the same in every row.

    Parameters
    ----------
    rows : int
    known : mapping of str to ndarray, shape (rows,)
        Standard deviates of uncertain parameters, by registry id: what a fit varies. The others stay at their centre.
    """

    rows: int
    known: Mapping[str, Array]

    def normal(self, purpose: str, count: int) -> Array:
        """Return the deviates of a purpose, shape (count,): one a row for a parameter, else rows times people."""
        if purpose.startswith(_UNKNOWN):
            assert count == self.rows, count
            return np.asarray(self.known.get(purpose.removeprefix(_UNKNOWN), np.zeros(count)), dtype=float)
        people = count // self.rows
        order = np.random.Generator(np.random.Philox(key=[zlib.crc32(purpose.encode()), people])).permutation(people)
        return np.tile(norm.ppf((order + 0.5) / people), self.rows)


def few_people(
    group: GroupKey, priors: Mapping[str, Parameter], known: Mapping[str, Array], rows: int, few: int = FEW
) -> People:
    """Return a few people of a group, once for each row of parameters.

    Parameters
    ----------
    group : GroupKey
    priors : mapping of str to Parameter
        Registry.
    known : mapping of str to ndarray, shape (rows,)
        Standard deviates of the parameters that a fit varies.
    rows : int
    few : int
        People in each row.
    """
    registry = group_registry(group, priors)
    patient = Patient.model_validate({"schema_version": 1, "diagnosis": group.diagnosis})
    return sample_people(patient, rows * few, 0, per_draw=few, parameters=registry, deviates=Even(rows, known))
