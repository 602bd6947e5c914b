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

#: People of a group in each evaluation.
FEW = 16


class Even(NamedTuple):
    """Deviates spread evenly over the normal law, in an order of their own for each purpose; `rows` times the same.

    What is not known of the parameters is left out: that is what a fit varies.
    """

    rows: int

    def normal(self, purpose: str, count: int) -> Array:
        """Return the deviates of a purpose, shape (count,); `count` is rows times people."""
        if purpose.startswith("uncertainty:"):
            return np.zeros(count)
        people = count // self.rows
        order = np.random.Generator(np.random.Philox(key=[zlib.crc32(purpose.encode()), people])).permutation(people)
        return np.tile(norm.ppf((order + 0.5) / people), self.rows)


def few_people(group: GroupKey, priors: Mapping[str, Parameter], centres: Mapping[str, Array], rows: int) -> People:
    """Return `FEW` people of a group, once for each row of centres.

    Parameters
    ----------
    group : GroupKey
    priors : mapping of str to Parameter
        Registry.
    centres : mapping of str to ndarray, shape (rows,)
        Values around which people differ, where they are not those of the registry.
    rows : int
    """
    registry = group_registry(group, priors)
    patient = Patient(schema_version=1, diagnosis="trd" if group.depressed else "healthy")
    even = Even(rows)
    people = sample_people(patient, rows * FEW, 0, per_draw=rows * FEW, parameters=registry, deviates=even)
    for name, centre in centres.items():
        own, law = np.repeat(centre, FEW), priors[name].between_subject
        people.values[name] = own if law is None else law.apply(own, even.normal(f"between:{name}", rows * FEW))
    return people
