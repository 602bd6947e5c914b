"""Response surface: fixed points of the whole-brain model as explicit polynomials, which the `network` link reads.

The cortex settles within a second, the chain moves in minutes to days, so the chain only needs to know where the
cortex stands still. Each read-out is the exponential of a polynomial: positive everywhere, and exactly 1 in a healthy
person at rest, because no polynomial has a constant. Its variables are not the five inputs themselves. Less
excitation among pyramidal cells and more inhibition do nearly what less excitation of interneurons undoes, and the
network's distance from its fold depends on what is left, the *net* cut: that of interneurons less its equivalents in
the other two.

A polynomial means nothing outside the box that it was fitted in. Each variable therefore stops smoothly at its edge:
it is itself up to the edge, and bends over the edge's width towards `edge + width`, which the fit still covers. How
far a state lies outside is returned too. The numbers are the record file that `scripts/brain_surface.py` writes; what
computes them is `kapsim.brain.surface`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from kapsim import strict_yaml
from kapsim.errors import InputError
from kapsim.evidence import DATA
from kapsim.mechanisms.operators import Value, exp, maximum, sqrt

RECORDS = DATA / "surface-brain.yaml"


class Cortex(NamedTuple):
    """What acts on the cortex, as shares and factors of the whole-brain model."""

    pyramidal_cut: Value  # share of NMDA current lost between excitatory pools, local and long-range
    interneuron_cut: Value  # share lost from excitatory onto inhibitory pools
    inhibition: Value  # logarithm of local inhibition over what holds the mean rate without drug
    strength: Value  # factor on local recurrence, with inhibition balanced
    subgenual: Value  # a further factor on it at the subgenual node, not balanced region by region


class Variables(NamedTuple):
    """What the polynomials are functions of; all 0 in a healthy person at rest."""

    net: Value  # cut onto interneurons less its equivalents in the next two
    pyramidal: Value
    inhibition: Value
    strength: Value  # minus 1
    subgenual: Value  # minus 1


class Axis(NamedTuple):
    """Range of a variable, and the width of the bend beyond either edge."""

    low: float
    high: float
    width: float


class Term(NamedTuple):
    """A coefficient and the powers of the variables, each over its axis' scale."""

    powers: tuple[int, ...]
    coefficient: float


#: A coefficient, or the powers of the next variable, highest first, each with what it multiplies; None where nothing.
Nested: TypeAlias = "float | tuple[Nested | None, ...]"


@dataclass(frozen=True)
class ResponseSurface:
    """Polynomials and the box that they hold in.

    Attributes
    ----------
    connectome : str
    digest : str
        Hash of all that they were computed from.
    pyramidal_equivalent : float
        Cut onto interneurons that moves the mean rate as much as a pyramidal cut of 1, the other way.
    inhibition_equivalent : float
        The same for a change of the logarithm of inhibition by 1.
    axes : Variables of Axis
    terms : mapping of str to tuple of Term
        The logarithm of each read-out.
    errors : mapping of str to (float, float)
        Largest and root mean square error of that logarithm at points held out of the fit.
    """

    connectome: str
    digest: str
    pyramidal_equivalent: float
    inhibition_equivalent: float
    axes: Variables
    terms: Mapping[str, tuple[Term, ...]]
    errors: Mapping[str, tuple[float, float]]

    def variables(self, cortex: Cortex) -> Variables:
        """Return the variables at a state of the cortex, wherever it lies."""
        equivalents = self.pyramidal_equivalent * cortex.pyramidal_cut + self.inhibition_equivalent * cortex.inhibition
        return Variables(
            net=cortex.interneuron_cut - equivalents,
            pyramidal=cortex.pyramidal_cut,
            inhibition=cortex.inhibition,
            strength=cortex.strength - 1.0,
            subgenual=cortex.subgenual - 1.0,
        )

    def past(self, variables: Variables) -> Variables:
        """Return by how much each variable lies above its upper edge, or below its lower one (then negative)."""
        return Variables(
            *(
                maximum(value - axis.high, 0.0) - maximum(axis.low - value, 0.0)
                for value, axis in zip(variables, self.axes, strict=True)
            )
        )

    def bounded(self, variables: Variables, past: Variables | None = None) -> Variables:
        """Return the variables as the polynomials see them: beyond an edge they stop smoothly within its width.

        `past` is what the method of that name gives, where that is at hand.
        """
        over = self.past(variables) if past is None else past
        return Variables(
            *(
                value - far + far / sqrt(1.0 + (far / axis.width) * (far / axis.width))
                for value, far, axis in zip(variables, over, self.axes, strict=True)
            )
        )

    def beyond(self, variables: Variables) -> Value:
        """Return how far variables lie outside the box, in widths of the edges that they pass; 0 inside."""
        past = [
            (maximum(value - axis.high, 0.0) + maximum(axis.low - value, 0.0)) / axis.width
            for value, axis in zip(variables, self.axes, strict=True)
        ]
        return sum(past[1:], past[0])

    def logarithm(self, name: str, bounded: Variables) -> Value:
        """Return the logarithm of a read-out at variables inside the box, or bent into it."""
        scaled = [value / scale(axis) for value, axis in zip(bounded, self.axes, strict=True)]
        return _horner(self._nested[name], scaled, 0)

    @functools.cached_property
    def _nested(self) -> Mapping[str, Nested]:
        """Terms sorted for Horner's rule: sorting them at every value would cost more than the sum."""
        return {name: _nested(terms) for name, terms in self.terms.items()}

    def readouts(self, bounded: Variables) -> dict[str, Value]:
        """Return all read-outs relative to a healthy person at rest."""
        return {name: exp(self.logarithm(name, bounded)) for name in self.terms}

    @property
    def feedback(self) -> float:
        """Fall of the logarithm of the pyramidal rate per rise of the logarithm of inhibition, in health at rest."""
        return self.inhibition_equivalent * self.slope("net") - self.slope("inhibition")

    def slope(self, variable: str) -> float:
        """Return the derivative of the logarithm of the pyramidal rate by a variable, in health at rest."""
        at = Variables._fields.index(variable)
        first = tuple(int(position == at) for position in range(len(Variables._fields)))
        found = sum(term.coefficient for term in self.terms["pyramidal"] if term.powers == first)
        return found / scale(self.axes[at])


def scale(axis: Axis) -> float:
    """Return what a variable is divided by: its largest size in the box, so that powers neither grow nor vanish."""
    return max(abs(axis.low), abs(axis.high))


def polynomial(terms: Sequence[Term], scaled: Sequence[Value]) -> Value:
    """Return a polynomial by Horner's rule, one variable after another."""
    return _horner(_nested(terms), scaled, 0)


def _nested(terms: Sequence[Term]) -> Nested:
    """Return terms sorted by the powers of one variable after another."""
    if not terms[0].powers:
        return float(sum(term.coefficient for term in terms))
    by_power: dict[int, list[Term]] = {}
    for term in terms:
        by_power.setdefault(term.powers[0], []).append(Term(term.powers[1:], term.coefficient))
    return tuple(_nested(by_power[power]) if power in by_power else None for power in range(max(by_power), -1, -1))


def _horner(nested: Nested, scaled: Sequence[Value], at: int) -> Value:
    if isinstance(nested, float):
        return nested
    value: Value = None
    for inner in nested:
        if value is not None:
            value = value * scaled[at]
        if inner is not None:
            found = _horner(inner, scaled, at + 1)
            value = found if value is None else value + found
    return value


@functools.cache
def shipped_surface(path: Path = RECORDS) -> ResponseSurface:
    """Return the response surface of this version.

    Raises
    ------
    InputError
        If its record file cannot be read.
    """
    return from_records(strict_yaml.read(path).data, str(path.name))


def from_records(data: Any, source: str) -> ResponseSurface:
    """Return the surface whose records are `data`, as `to_records` gives them.

    Raises
    ------
    InputError
        If they are no such records.
    """
    try:
        surface = ResponseSurface(
            connectome=str(data["connectome"]),
            digest=str(data["digest"]),
            pyramidal_equivalent=float(data["pyramidal_equivalent"]),
            inhibition_equivalent=float(data["inhibition_equivalent"]),
            axes=Variables(*(Axis(*(float(edge) for edge in data["axes"][name])) for name in Variables._fields)),
            terms={
                name: tuple(Term(tuple(int(power) for power in row[0]), float(row[1])) for row in rows)
                for name, rows in data["log_readouts"].items()
            },
            errors={name: (float(row["largest"]), float(row["rms"])) for name, row in data["errors"].items()},
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{source}: no response surface: {strict_yaml.one_line(error)}") from error
    numbers = [term.coefficient for terms in surface.terms.values() for term in terms]
    numbers += [edge for axis in surface.axes for edge in axis]
    if not all(math.isfinite(number) for number in numbers) or not all(axis.width > 0.0 for axis in surface.axes):
        raise InputError(f"{source}: no response surface: its numbers must be finite and its widths above 0")
    return surface


def to_records(surface: ResponseSurface) -> dict[str, Any]:
    """Return a surface as plain data, as its record file holds it."""
    return {
        "connectome": surface.connectome,
        "digest": surface.digest,
        "pyramidal_equivalent": surface.pyramidal_equivalent,
        "inhibition_equivalent": surface.inhibition_equivalent,
        "axes": {name: list(axis) for name, axis in surface.axes._asdict().items()},
        "log_readouts": {
            name: [[list(term.powers), term.coefficient] for term in terms] for name, terms in surface.terms.items()
        },
        "errors": {name: {"largest": most, "rms": typical} for name, (most, typical) in surface.errors.items()},
    }
