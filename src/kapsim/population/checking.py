"""A drawn population beside what was published of such people: statistic by statistic, with its Monte Carlo error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.file_model import Quantity
from kapsim.population.schema import Figure, number_of
from kapsim.population.traits import BODY, TRAITS

if TYPE_CHECKING:
    from kapsim.population.population import Population

__all__ = ["ERRORS", "MOST_PEOPLE", "VERDICTS", "Check", "Pair", "Row", "check"]

Array = NDArray[np.float64]

#: From right to wrong; what has no source can only be as it was assumed, and what follows from others as it follows.
VERDICTS = ("agrees", "within its error", "departs", "as assumed", "follows")
#: What chance alone may do to a drawn statistic, in Monte Carlo errors, and to a published one, in its own errors.
ERRORS, PUBLISHED_ERRORS = 3.0, 1.96
#: Most people that are drawn for a check.
MOST_PEOPLE = 1_000_000
_FEWEST = 20
#: Two numbers this close are the same, whatever the error: where rows are taken one to one, chance does nothing.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Row:
    """One statistic of one trait.

    Attributes
    ----------
    trait, statistic : str
    at : float or None
        Value of a share above it, or level of a quantile.
    unit : str
    status : str
        'measured', 'derived' or 'assumed' by the file of the population, 'table' for rows of covariates, 'target' where
        people were reweighted to it, 'follows' for a body measure that two others give.
    stated : float or None
        What it ought to be: the published figure, the assumed law's, the table's or the target.
    error : float or None
        Standard error of a published figure, from its own number of people; None where it is not known.
    drawn, drawn_error : float
        Of the drawn people, with Monte Carlo error.
    source : str
        Id of the record, or what else it rests on.
    used : bool
        Whether the law rests on it; False for the figure of another study.
    width : str
        How far the centre of an assumed law may lie elsewhere, as the file says it.
    verdict : str
        One of `VERDICTS`.
    """

    trait: str
    statistic: str
    at: float | None
    unit: str
    status: str
    stated: float | None
    error: float | None
    drawn: float
    drawn_error: float
    source: str
    used: bool
    width: str
    verdict: str


@dataclass(frozen=True)
class Pair:
    """How two traits go together: fields as in `Row`."""

    between: tuple[str, str]
    status: str
    stated: float
    error: float | None
    drawn: float
    drawn_error: float
    source: str
    width: str
    verdict: str


@dataclass(frozen=True)
class Check:
    """A drawn population beside what was published.

    Attributes
    ----------
    population : dict
        Which it is; see `Population.provenance`.
    description : str
    n, seed : int
    rows : tuple of Row
    pairs : tuple of Pair
    traits : tuple of str
    matrix : tuple of tuple of float
        Pearson correlations of all traits as drawn.
    """

    population: dict[str, Any]
    description: str
    n: int
    seed: int
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    traits: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many statistics and correlations have each verdict."""
        verdicts = [row.verdict for row in self.rows] + [pair.verdict for pair in self.pairs]
        return {verdict: verdicts.count(verdict) for verdict in VERDICTS}

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "counts": self.counts}


def check(population: Population, n: int = 10_000, seed: int = 0) -> Check:
    """Draw people and hold them beside what was published of such people.

    Parameters
    ----------
    population : Population
    n : int
        How many people; of rows taken one to one, at most as many as there are.
    seed : int
        Root of all randomness.

    Returns
    -------
    Check

    Raises
    ------
    InputError
        For a number of people or a seed that cannot be.
    """
    if not _FEWEST <= n <= MOST_PEOPLE and not population.one_to_one:
        raise InputError(f"people: {n} is not between {_FEWEST} and {MOST_PEOPLE}; 10000 is the default")
    if population.one_to_one and population.table is not None:
        n = min(n, population.table.rows)
    people = population.draw(n, seed)
    traits = tuple(population.traits)
    return Check(
        population=population.provenance(),
        description=population.file.description or "",
        n=n,
        seed=seed,
        rows=tuple(row for trait in traits for row in _rows(population, trait, people[trait])),
        pairs=tuple(_pairs(population, people)),
        traits=traits,
        matrix=tuple(tuple(float(value) for value in row) for row in _correlations(people, traits)),
    )


def _rows(population: Population, trait: str, values: Array) -> Iterator[Row]:
    """Yield the statistics of a trait that something is known of; where nothing is, of its law."""
    held = population.weights is None and population.table is not None and trait in population.table.columns
    if held:
        assert population.table is not None
        own = population.table.columns[trait]
        known = own[~np.isnan(own)]
        # where cells are lacking, the people are not those of the table alone
        if len(known) == len(own):
            for statistic in ("share",) if TRAITS[trait].yes_no else ("mean", "sd"):
                exact = 0.0 if population.one_to_one and len(values) == len(own) else None
                wanted = _statistic(statistic, own, None)
                yield _row(trait, statistic, None, values, "table", wanted, 0.0, population.source, mc=exact)
            return
    if trait in population.targets:
        target = population.targets[trait]
        for statistic in ("share", "mean", "sd"):
            goal: Quantity | float | None = getattr(target, statistic)
            if goal is not None:
                yield _row(trait, statistic, None, values, "target", number_of(goal, trait), 0.0, "reweighted to it")
    marginal = population.file.marginals.get(trait)
    if marginal is None:
        if trait in BODY:
            for statistic in ("mean", "sd"):
                yield _row(trait, statistic, None, values, "follows", None, None, "from the other two body measures")
        return
    width = "" if marginal.width is None else str(marginal.width)
    for figure in marginal.published:
        yield _published(trait, figure, marginal.status, values, width)
    told = {figure.statistic for figure in marginal.published if figure.used}
    if trait in population.targets or told & {"share", "share_above", "median", "quantile"}:
        return
    law = population.laws[trait]
    for statistic, stated in (("share", law.centre),) if law.kind == "share" else (("mean", law.mean), ("sd", law.sd)):
        if statistic not in told:
            source = ", ".join(marginal.sources) or "assumed"
            yield _row(trait, statistic, None, values, "assumed", stated, None, source, width)


def _published(trait: str, figure: Figure, status: str, values: Array, width: str) -> Row:
    at = None if figure.at is None else figure.at if isinstance(figure.at, float) else number_of(figure.at, trait)
    shares = figure.statistic in ("share", "share_above")
    stated = figure.value if shares and isinstance(figure.value, float) else number_of(figure.value, trait)
    error: float | None = None
    if figure.error is not None:
        error = figure.error if shares and isinstance(figure.error, float) else number_of(figure.error, trait)
    elif figure.n is not None:
        error = _error(figure.statistic, values, at, figure.n)
    status = "measured" if status == "assumed" else status
    return _row(trait, figure.statistic, at, values, status, stated, error, figure.source, width, used=figure.used)


def _row(
    trait: str,
    statistic: str,
    at: float | None,
    values: Array,
    status: str,
    stated: float | None,
    error: float | None,
    source: str,
    width: str = "",
    *,
    used: bool = True,
    mc: float | None = None,
) -> Row:
    drawn = _statistic(statistic, values, at)
    chance = _error(statistic, values, at, len(values)) if mc is None else mc
    unit = "1" if statistic in ("share", "share_above") else TRAITS[trait].unit
    verdict = _verdict(status, stated, error, drawn, chance)
    return Row(trait, statistic, at, unit, status, stated, error, drawn, chance, source, used, width, verdict)


def _verdict(status: str, stated: float | None, error: float | None, drawn: float, chance: float) -> str:
    if stated is None:
        return "follows"
    gap = abs(drawn - stated)
    if gap <= ERRORS * chance + _ROUNDING * abs(stated):
        return "as assumed" if status == "assumed" else "agrees"
    if error is not None and gap <= ERRORS * chance + PUBLISHED_ERRORS * error:
        return "within its error"
    return "departs"


def _statistic(statistic: str, values: Array, at: float | None) -> float:
    if statistic in ("mean", "share"):
        return float(values.mean())
    if statistic == "sd":
        return float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if statistic == "share_above":
        assert at is not None
        return float((values > at).mean())
    return float(np.quantile(values, 0.5 if at is None else at))


def _error(statistic: str, values: Array, at: float | None, n: int) -> float:
    """Return the standard error that a statistic of `n` people has who spread like those drawn."""
    if statistic in ("share", "share_above"):
        share = _statistic(statistic, values, at)
        # nobody, or everybody, of a few people is no proof of none, or all
        share = min(max(share, 0.5 / n), 1.0 - 0.5 / n)
        return float(np.sqrt(share * (1.0 - share) / n))
    away = values - values.mean()
    variance = float(np.mean(away**2))
    if statistic == "mean":
        return float(np.sqrt(variance / n))
    if statistic == "sd":
        fourth = float(np.mean(away**4))
        return float(np.sqrt(max(fourth - variance**2, 0.0) / (4.0 * variance * n))) if variance > 0.0 else 0.0
    level = 0.5 if at is None else at
    # as far as the level moves by its own error
    step = min(float(np.sqrt(level * (1.0 - level) / n)), 0.999 * level, 0.999 * (1.0 - level))
    low, high = np.quantile(values, (level - step, level + step))
    return float(0.5 * (high - low))


def _correlations(people: dict[str, Array], traits: tuple[str, ...]) -> Array:
    """Return Pearson correlations; 0 beside a trait in which people do not differ."""
    with np.errstate(all="ignore"):
        found = np.atleast_2d(np.corrcoef(np.stack([people[trait] for trait in traits])))
    found = np.where(np.isfinite(found), found, 0.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, -1.0, 1.0))


def _pairs(population: Population, people: dict[str, Array]) -> Iterator[Pair]:
    for item in population.file.correlations:
        first, second = item.between
        values = people[first], people[second]
        drawn = float(_correlations(people, item.between)[0, 1])
        away = [(value - value.mean()) / max(float(value.std()), 1e-300) for value in values]
        # of products of values that are not normal, too
        residual = away[0] * away[1] - 0.5 * drawn * (away[0] ** 2 + away[1] ** 2)
        chance = float(np.sqrt(np.mean(residual**2) / len(values[0])))
        error = None if item.n is None else float((1.0 - item.r**2) / np.sqrt(item.n - 1))
        verdict = _verdict(item.status, item.r, error, drawn, chance)
        source = ", ".join(item.sources) or "assumed"
        width = "" if item.width is None else f"{item.width:g}"
        yield Pair(item.between, item.status, item.r, error, drawn, chance, source, width, verdict)
