"""A population, ready to draw people from: laws and correlations, or rows of real covariates with the rest drawn.

What a person has depends on the seed, the person's number and the trait, and on nothing else: people 10 to 19 are the
same whether they are drawn alone, in a block or with a hundred thousand others.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.file_model import Quantity
from kapsim.patient import Patient
from kapsim.patient.sampling import Keyed
from kapsim.population import copula
from kapsim.population.body import completed, extended, third_of
from kapsim.population.laws import Law
from kapsim.population.schema import PopulationFile, Target, law_of, width_of
from kapsim.population.table import Table
from kapsim.population.traits import BODY, TRAITS
from kapsim.units import convert

Array = NDArray[np.float64]

#: People over whom the means of a population are taken, where no formula gives them.
_TYPICAL = 4000
#: The smallest eigenvalue of correlations that can hold together.
_LEAST = 1e-6
#: How much of a move of the correlations is tried, until they can hold together.
_PARTS = (1.0, 0.5, 0.25, 0.1)


@dataclass(frozen=True)
class Population:
    """Joint distribution of the traits of some people.

    Parameters
    ----------
    file : PopulationFile
        What was read, with everything that it inherits.
    source : str
        Name of the file, without folders.
    digest : str
        SHA-256 of all that was read, 64 hexadecimal digits.
    table : Table, optional
        Rows of real covariates; what a row lacks is drawn given what it has.
    weights : ndarray, shape (row,), optional
        Chances of the rows, which add up to 1; without them all are alike.
    one_to_one : bool
        Person k is row k, instead of a row drawn with replacement.
    targets : mapping of str to Target
        What its people were reweighted to, by trait.
    """

    file: PopulationFile
    source: str
    digest: str
    table: Table | None = None
    weights: Array | None = field(default=None, compare=False)
    one_to_one: bool = False
    targets: Mapping[str, Target] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.file.name

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return self.file.title

    @property
    def diagnosis(self) -> str:
        """Diagnosis of everybody in it."""
        return self.file.diagnosis or "trd"

    @functools.cached_property
    def laws(self) -> dict[str, Law]:
        """Law of each trait that is drawn, in the order in which traits are drawn."""
        found = {}
        for trait in TRAITS:
            if trait in self.file.marginals:
                try:
                    found[trait] = law_of(trait, self.file.marginals[trait])
                except InputError as error:
                    raise InputError(f"{self.source}: marginals.{trait}: {error}") from None
        return found

    @property
    def traits(self) -> tuple[str, ...]:
        """Traits that its people have, in order."""
        known = set(self.laws) | set(() if self.table is None else self.table.columns)
        if len(known & set(BODY)) == 2:
            known |= set(BODY)
        return tuple(trait for trait in TRAITS if trait in known)

    @functools.cached_property
    def latent(self) -> Array:
        """Correlations of the deviates behind the traits with a law, shape (traits, traits)."""
        names = list(self.laws)
        matrix = np.eye(len(names))
        for item in self.file.correlations:
            first, second = (names.index(trait) for trait in item.between)
            try:
                rho = copula.latent(self.laws[item.between[0]], self.laws[item.between[1]], item.r)
            except InputError as error:
                raise InputError(f"{self.source}: correlations of {' and '.join(item.between)}: {error}") from None
            matrix[first, second] = matrix[second, first] = rho
        if len(names) and np.linalg.eigvalsh(matrix)[0] < _LEAST:
            raise InputError(
                f"{self.source}: correlations: they cannot all hold together; bring the largest of them nearer to 0"
            )
        return matrix

    def draw(
        self,
        n: int,
        seed: int,
        first: int = 0,
        *,
        per_draw: int | None = None,
        given: Mapping[str, float] | None = None,
    ) -> dict[str, Array]:
        """Draw people.

        Parameters
        ----------
        n : int
            How many, 0 and up.
        seed : int
            Root of all randomness, 0 and up.
        first : int
            Number of the first person, counted from 0.
        per_draw : int, optional
            How many people share a draw of what is not known about the assumed laws and correlations; without it
            they are as the file says.
        given : mapping of str to float, optional
            What everybody has, by trait; the rest is drawn given that.

        Returns
        -------
        dict of str to ndarray, shape (n,)
            A column for each of `traits`, in the unit of `kapsim.population.TRAITS`; 1 or 0 for what is there or not.

        Raises
        ------
        InputError
            For numbers that cannot be, and for more people than rows where each row is one person.
        """
        if n < 0 or first < 0 or not 0 <= seed < 2**63:
            raise InputError(f"population: {n} people from number {first} with seed {seed} cannot be; 0 and up")
        places = first + np.arange(n, dtype=np.int64)
        keyed = Keyed(seed, True)
        fixed = {name: np.full(n, float(value)) for name, value in (given or {}).items() if name in self.traits}
        if self.table is None:
            return self._given(places, keyed, completed(fixed), per_draw)
        rows = self._rows(places, keyed)
        held = completed({name: column[rows] for name, column in self.table.columns.items()})
        for name, values in fixed.items():
            held[name] = values
            if name in BODY and all(other in held for other in BODY):
                # what follows from the new one and the height, or the weight, of the row
                del held["bmi" if name != "bmi" else "height"]
        held = completed(held)
        found = {trait: np.zeros(n) for trait in self.traits}
        missing = np.stack([np.isnan(column) for column in held.values()])
        kinds = (1 << np.arange(len(held))) @ missing
        for kind in np.unique(kinds):
            here = kinds == kind
            known = {name: column[here] for number, (name, column) in enumerate(held.items()) if not kind >> number & 1}
            for trait, values in self._given(places[here], keyed, known, per_draw).items():
                found[trait][here] = values
        return found

    def middle(self, n: int) -> dict[str, Array]:
        """Return `n` times the person in the middle: the median of every number, and what most people have or lack."""
        if self.table is None:
            found = completed({name: law.values(np.zeros(1)) for name, law in self.laws.items()})
        else:
            found = {name: np.asarray([np.median(values)]) for name, values in self._many.items()}
            found |= {name: np.round(value) for name, value in found.items() if TRAITS[name].yes_no}
        return {trait: np.repeat(found[trait], n) for trait in self.traits}

    def _rows(self, places: NDArray[np.int64], keyed: Keyed) -> NDArray[np.int64]:
        """Return the row of each person."""
        from scipy.special import ndtr

        assert self.table is not None
        if self.one_to_one:
            if len(places) and places[-1] >= self.table.rows:
                raise InputError(
                    f"{self.source}: holds {self.table.rows} people, and number {places[-1] + 1} is asked for; "
                    "ask for fewer, or let rows be drawn with replacement"
                )
            return places
        uniform = ndtr(keyed.at("population:row", places))
        if self.weights is None:
            return np.asarray(np.minimum(uniform * self.table.rows, self.table.rows - 1), dtype=np.int64)
        found = np.searchsorted(np.cumsum(self.weights), uniform, side="right")
        return np.asarray(np.minimum(found, self.table.rows - 1), dtype=np.int64)

    def _given(
        self, places: NDArray[np.int64], keyed: Keyed, known: Mapping[str, Array], per_draw: int | None
    ) -> dict[str, Array]:
        """Return every trait of people of whom the same ones are known."""
        laws = self.laws
        draws, which = np.unique(places // per_draw if per_draw else np.zeros_like(places), return_inverse=True)
        matrices = self._matrices(keyed, draws if per_draw else None)
        names, third = list(laws), third_of(laws)
        scores = {
            name: laws[name].scores(values)
            for name, values in known.items()
            if name in laws and laws[name].kind != "share"
        }
        sides = {name: values for name, values in known.items() if name in laws and laws[name].kind == "share"}
        hidden = ""
        if third is not None and third in known and not any(name in known for name in BODY if name in laws):
            names, matrices, scores[third] = extended(third, laws, matrices, known[third])
            hidden = next(name for name in BODY if name in laws)
        deviates = {name: keyed.at(f"population:{name}", places) for name in names if name not in scores}
        cuts = {name: laws[name].cut for name in sides}
        correlated = copula.drawn(names, matrices, which, deviates, copula.Given(scores, sides), cuts)
        found = dict(known)
        for name, law in laws.items():
            # of three body measures the third follows, so that it agrees with what is known
            if name not in found and not (hidden and name in BODY and name != hidden):
                shift = 0.0 if per_draw is None else self._shift(name, keyed, draws)[which]
                found[name] = law.values(correlated[name], shift)
        found = completed(found)
        if "episode" in found and "age" in found and "episode" not in known:
            # nobody has been ill for longer than they have lived
            found["episode"] = np.minimum(found["episode"], convert(1.0, "a", "mo") * found["age"])
        return {trait: found[trait] for trait in self.traits}

    def _shift(self, trait: str, keyed: Keyed, draws: NDArray[np.int64]) -> Array:
        """Return how far the centre of a law lies elsewhere in each draw of what is not known."""
        width = width_of(trait, self.file.marginals[trait])
        return width * keyed.at(f"population:unknown:{trait}", draws)

    def _matrices(self, keyed: Keyed, draws: NDArray[np.int64] | None) -> Array:
        """Return the latent correlations in each draw of what is not known, shape (draws, traits, traits)."""
        base = self.latent
        if draws is None:
            return base[None]
        names, moved = list(self.laws), np.repeat(base[None], len(draws), axis=0)
        for item in self.file.correlations:
            if item.width:
                first, second = (names.index(trait) for trait in item.between)
                unknown = keyed.at(f"population:unknown:{'~'.join(sorted(item.between))}", draws)
                moved[:, first, second] = np.tanh(np.arctanh(base[first, second]) + item.width * unknown)
                moved[:, second, first] = moved[:, first, second]
        found = np.repeat(base[None], len(draws), axis=0)
        open_ = np.ones(len(draws), dtype=bool)
        for part in _PARTS:
            # between two sets of correlations that hold together, all hold together
            tried = base + part * (moved - base)
            holds = open_ & (np.linalg.eigvalsh(tried)[:, 0] > _LEAST) if len(names) else open_
            found[holds] = tried[holds]
            open_ &= ~holds
        return found

    @functools.cached_property
    def typical(self) -> Patient:
        """Someone with the diagnosis and the mean age and weight, for comparisons with studies."""
        means = {name: float(values.mean()) for name, values in self._many.items() if name in ("age", "weight")}
        known: dict[str, Any] = {name: Quantity(round(value, 1), TRAITS[name].unit) for name, value in means.items()}
        return Patient.model_validate({"schema_version": 1, "diagnosis": self.diagnosis, **known})

    @functools.cached_property
    def _many(self) -> dict[str, Array]:
        count = _TYPICAL if self.table is None or not self.one_to_one else self.table.rows
        return self.draw(count, 0)

    @property
    def effective_size(self) -> float | None:
        """How many equally weighted rows the weighted ones are worth; None where nothing is weighted."""
        return None if self.weights is None else float(1.0 / np.sum(self.weights**2))

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the records, or other words, that its laws and correlations rest on."""
        found = [
            source
            for trait, marginal in self.file.marginals.items()
            if self.table is None or self.weights is not None or trait not in self.table.columns
            for source in (*marginal.sources, *(figure.source for figure in marginal.published if figure.used))
        ]
        found += [source for item in self.file.correlations for source in item.sources]
        return tuple(dict.fromkeys(found))

    def provenance(self) -> dict[str, Any]:
        """Return what tells this population from others, as plain data."""
        about: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "sha256": self.digest,
            "diagnosis": self.diagnosis,
            "based_on": self.file.based_on,
        }
        if self.table is not None:
            about |= {"rows": self.table.rows, "one_to_one": self.one_to_one}
        if self.effective_size is not None:
            about["effective_size"] = round(self.effective_size, 1)
        return about
