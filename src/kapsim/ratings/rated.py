"""Ratings of people at entry and at visits: errors keyed by person, scale and visit, and change of its own accord."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Parameter
from kapsim.patient.sampling import Deviates
from kapsim.ratings.enrolment import Enrolment
from kapsim.ratings.own_course import own_course
from kapsim.ratings.rating_error import RatingError, as_rated, rating_error

Array = NDArray[np.float64]

_SECONDS = 3600.0


@dataclass(frozen=True)
class Ratings:
    """Ratings of a sample of people, the same whatever the number of people beside them or the order of asking.

    Parameters
    ----------
    deviates : Deviates
        Source of the people's standard normal deviates, keyed by purpose.
    size : int
        Number of people.
    enrolment : Enrolment, optional
        How they came into the study; without one nobody was chosen by a score.
    parameters : mapping of str to Parameter, optional
        Registry, by default the shipped one.
    begin : float
        When people came in, h on the clock of the visits.
    """

    deviates: Deviates
    size: int
    enrolment: Enrolment | None = None
    parameters: Mapping[str, Parameter] | None = None
    begin: float = 0.0

    def at_entry(self, scale: str, expected: Array) -> Array:
        """Return the rating by which people were taken in, or that was made on that day.

        Parameters
        ----------
        scale : str
        expected : ndarray, shape (patient,)
            Expected score, points.

        Returns
        -------
        ndarray, shape (patient,)
            Whole points.
        """
        entry = self._entry_error(scale, expected)
        if entry is None:
            return as_rated(scale, expected + self._lasting(scale, expected) + self._new(scale, "entry"))
        return as_rated(scale, expected + entry)

    def at_visit(self, scale: str, expected: Array, hour: float, *, entry: Array, occasion: str = "") -> Array:
        """Return the rating at a later visit.

        Parameters
        ----------
        scale : str
        expected : ndarray, shape (patient,)
            Expected score at the visit, points.
        hour : float
            When, h; ratings within the same second are the same rating.
        entry : ndarray, shape (patient,)
            Expected score at entry, points: what lasts of the error hangs on it where people were chosen by it.
        occasion : str
            What tells visits of the same people at the same hour apart, such as the period of a crossover; in each
            people go their own way anew.

        Returns
        -------
        ndarray, shape (patient,)
            Whole points.
        """
        key = f"{round(hour * _SECONDS)}:{occasion}"
        own = own_course(scale, self.parameters).change(
            lambda wave: self.deviates.normal(f"own_course:{occasion}:{wave}", self.size), hour - self.begin
        )
        return as_rated(scale, expected + own + self._lasting(scale, entry) + self._new(scale, key))

    def _error(self, scale: str) -> RatingError:
        return rating_error(scale, self.parameters)

    def _normal(self, scale: str, purpose: str) -> Array:
        return self.deviates.normal(f"rating:{scale}:{purpose}", self.size)

    def _new(self, scale: str, key: str) -> Array:
        return self._error(scale).visit * self._normal(scale, f"visit:{key}")

    def _entry_error(self, scale: str, expected: Array) -> Array | None:
        """Return the whole error of the rating at entry on the scale that people were chosen by; else None."""
        if self.enrolment is None or self.enrolment.scale != scale:
            return None
        return self.enrolment.error(expected, self._normal(scale, "entry"))

    def _lasting(self, scale: str, entry: Array) -> Array:
        """Return the part of the error that stays; of those chosen by their error it is the share that they kept."""
        error, own = self._error(scale), self._normal(scale, "lasting")
        chosen = self._entry_error(scale, entry)
        if chosen is None:
            return error.lasting * own
        share = error.correlation
        return share * chosen + math.sqrt(share * (1.0 - share)) * error.sd * own
