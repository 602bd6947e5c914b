"""Variants of the contested links, each with people by its own fit, and the average over them.

A variant is fitted to the trials by itself: a chain without a link explains by the others what it did. So a person has
other parameters under another variant, and the same deviates. Under the average people are spread over variants as the
calibration weighs them. Each draw of the uncertain parameters has one variant, for the people who share it: what is not
known of the structure is then one more thing that draws differ by, and the spread between variants can be told from the
rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import Parameter, load_parameters
from kapsim.mechanisms.kinetics import Body
from kapsim.mechanisms.switches import VARIANTS, Switches
from kapsim.model import Traits, variant_switches
from kapsim.patient.sampling import People

Array = NDArray[np.float64]
Registry = Mapping[str, Parameter]

#: What stands in the place of a variant's name.
AVERAGE: Final = "average"
#: Draws take the weights in the order of this sequence, which is even over any number of them.
_GOLDEN = 0.5 * (5.0**0.5 - 1.0)
#: A variant of fewer people says nothing of its own.
_FEWEST = 20


@functools.lru_cache(maxsize=1)
def variant_weights() -> dict[str, float]:
    """Return the weight of each variant in the mixture that predicts studies best, those above zero, summing to 1.

    Raises
    ------
    InputError
        Where the calibration that ships has not scored variants.
    """
    from kapsim.evidence._files import CHAIN_CALIBRATION
    from kapsim.evidence.calibration import load_calibration

    scored = load_calibration(CHAIN_CALIBRATION).variants if CHAIN_CALIBRATION.exists() else ()
    found = {one.name: one.weight for one in scored if one.weight > 0.0}
    if not found:
        raise InputError(f"variant: {AVERAGE!r} needs weights, and the calibration of this version has none")
    total = sum(found.values())
    return {name: weight / total for name, weight in found.items()}


@functools.cache
def _own(variant: str) -> dict[str, Parameter]:
    """Return the parameters as the fit of this variant has them; none where it is the standard chain, or not fitted."""
    from kapsim.evidence._files import CHAIN_CALIBRATION
    from kapsim.evidence.calibration import load_calibration, load_of_variants, moved
    from kapsim.evidence.registry import load_priors

    switches = variant_switches(variant)
    if switches == variant_switches("standard"):
        return {}
    for one in load_of_variants():
        if VARIANTS.get(one.variant) == switches:
            return moved(load_priors(), one.parameters, load_calibration(CHAIN_CALIBRATION).records)
    return {}


def registry_under(variant: str, registry: Registry | None = None) -> Registry | None:
    """Return a registry with the parameters of a variant as its own fit has them.

    Parameters
    ----------
    variant : str
        A variant, not the average of them.
    registry : mapping of str to Parameter, optional
        With the parameters of the standard chain; None stands for the shipped one.

    Returns
    -------
    mapping of str to Parameter or None
        The same where the variant has no fit of its own.

    Raises
    ------
    InputError
        For an unknown variant.
    """
    own = _own(variant)
    return {**(load_parameters() if registry is None else registry), **own} if own else registry


def drawn_under(variant: str, draw: Callable[[Registry | None], People], registry: Registry | None = None) -> People:
    """Return people as a variant's own fit has them; under the average each as their variant's.

    Parameters
    ----------
    variant : str
    draw : callable
        Draws people from a registry, the same deviates from each.
    registry : mapping of str to Parameter, optional
        As in `registry_under`.

    Raises
    ------
    InputError
        For an unknown variant.
    """
    if variant != AVERAGE:
        return draw(registry_under(variant, registry))
    drawn = {name: draw(registry_under(name, registry)) for name in variant_weights()}
    found = next(iter(drawn.values()))
    own = np.asarray(variants_of(found))
    for name, people in drawn.items():
        found = _with_rows(found, people, own == name)
    return found


def _with_rows(people: People, others: People, rows: NDArray[np.bool_]) -> People:
    """Return people of whom those in `rows` are others."""

    def mixed(mine: Any, theirs: Any) -> Any:
        return np.where(rows, theirs, mine)

    return replace(
        people,
        values={name: mixed(value, others.values[name]) for name, value in people.values.items()},
        traits=Traits(*map(mixed, people.traits, others.traits)),
        body=Body(*map(mixed, people.body, others.body)),
        covariates={name: mixed(value, others.covariates[name]) for name, value in people.covariates.items()},
    )


def check_variant(variant: str) -> None:
    """Raise `InputError` for what is neither a variant nor, where variants have weights, their average."""
    if variant == AVERAGE:
        variant_weights()
    else:
        variant_switches(variant)


def variants_of(people: People, weights: Mapping[str, float] | None = None) -> list[str]:
    """Return the variant of each person, by the draw of the uncertain parameters: whoever else is there changes none.

    Parameters
    ----------
    people : People
    weights : mapping of str to float, optional
        By default `variant_weights`.
    """
    return variants_at(people.parameter_draw, weights)


def variants_at(draws: NDArray[np.integer[Any]], weights: Mapping[str, float] | None = None) -> list[str]:
    """Return the variant that each draw of the uncertain parameters has under the average.

    Parameters
    ----------
    draws : ndarray of int
        Numbers of draws, or of the replicates of a trial.
    weights : mapping of str to float, optional
        By default `variant_weights`.
    """
    own = variant_weights() if weights is None else weights
    names, ends = list(own), np.cumsum(list(own.values()))
    place = np.mod((np.asarray(draws) + 0.5) * _GOLDEN, 1.0)
    numbers = np.minimum(np.searchsorted(ends / ends[-1], place, side="right"), len(names) - 1)
    return [names[number] for number in numbers]


def switches_for(variant: str, people: People) -> Switches:
    """Return the switches of people: plain numbers under one variant, arrays of shape (patient,) under the average.

    Raises
    ------
    InputError
        For an unknown variant.
    """
    if variant != AVERAGE:
        return variant_switches(variant)
    table = np.array([VARIANTS[name] for name in variants_of(people)], dtype=float)
    return Switches(*table.T)


@dataclass(frozen=True)
class StructuralSpread:
    """What variants differ by in an endpoint.

    Attributes
    ----------
    means : dict of str to float
        Mean of each variant's people, of variants with enough of them.
    spread : float
        Standard deviation between variants, weighted by people, less what chance between so many would make.
    total : float
        Standard deviation of all people.
    """

    means: dict[str, float]
    spread: float
    total: float

    def line(self, name: str, unit: str) -> str:
        """Return it as one line for a person."""
        least, most = (end(self.means, key=self.means.__getitem__) for end in (min, max))
        return (
            f"structure: {name} from {self.means[least]:.1f} ({least}) to {self.means[most]:.1f} {unit} ({most}) over "
            f"{len(self.means)} variants; SD between them {self.spread:.1f}, of people {self.total:.1f}"
        )


def structural_spread(names: list[str], draws: NDArray[Any], values: Array) -> StructuralSpread | None:
    """Return what variants differ by; None where fewer than two have enough people.

    Parameters
    ----------
    names : list of str
        Each person's variant.
    draws : ndarray of int, shape (patient,)
        Each person's draw of the uncertain parameters: people of one draw are no independent witnesses.
    values : ndarray, shape (patient,)
        An endpoint; what is not finite is left out.
    """
    own = np.asarray(names)
    known = np.isfinite(values)
    kept = [name for name in dict.fromkeys(names) if np.sum(known & (own == name)) >= _FEWEST]
    if len(kept) < 2:
        return None
    means, sizes, chance = [], [], []
    for name in kept:
        here = known & (own == name)
        by_draw = np.asarray([values[here & (draws == draw)].mean() for draw in np.unique(draws[here])])
        means.append(float(values[here].mean()))
        sizes.append(float(here.sum()))
        chance.append(float(by_draw.var(ddof=1)) / len(by_draw) if len(by_draw) > 1 else float(values[here].var()))
    weight = np.asarray(sizes) / sum(sizes)
    middle = float(weight @ means)
    seen = float(weight @ (np.asarray(means) - middle) ** 2)
    between = seen - float((weight * (1.0 - weight)) @ chance)
    return StructuralSpread(
        dict(zip(kept, means, strict=True)), float(np.sqrt(max(between, 0.0))), float(values[known].std(ddof=1))
    )
