"""Units of expressions, and the numbers in them that carry one.

In kapsim's code a number is a number; in SBML each may have a unit, and a checker wants to know it. A number added to
hours is in hours; a number that alone makes two sides differ by a factor is a conversion between units of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from kapsim.errors import KapsimError
from kapsim.units import parts

if TYPE_CHECKING:
    import sympy

#: Two sizes that differ by less than this are one: numbers in expressions are floats.
SAME = 1e-9


class UnitError(KapsimError):
    """An equation whose sides do not agree: a fault of the model, not of its user."""


@dataclass(frozen=True)
class Dimension:
    """Size in base units (h, kg, L, umol, points, mm[Hg], a share), and the powers of their dimensions."""

    size: float = 1.0
    powers: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, unit: str) -> Dimension:
        """Return the dimension of a unit."""
        size, powers = parts(unit)
        return cls(float(size), tuple(sorted(powers.items())))

    def times(self, other: Dimension, sign: int = 1) -> Dimension:
        """Return the product with another, or the quotient where `sign` is -1."""
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, 0) + sign * power
        size = self.size * other.size if sign > 0 else self.size / other.size
        return Dimension(size, tuple(sorted((name, power) for name, power in powers.items() if power)))

    @property
    def is_pure(self) -> bool:
        """Whether it is a number and nothing else."""
        return not self.powers and self.same_size(1.0)

    def same_size(self, size: float) -> bool:
        """Whether the size is `size`, to rounding."""
        return abs(self.size / size - 1.0) < SAME


PURE = Dimension()


class Literals:
    """Finds the unit of every number in an expression, given what the whole is measured in.

    Parameters
    ----------
    units : mapping of str to str
        Unit of every symbol.
    functions : mapping of str to str
        Unit of the value of every function.
    """

    def __init__(self, units: Mapping[str, str], functions: Mapping[str, str] | None = None) -> None:
        self.dimensions = {name: Dimension.of(unit) for name, unit in units.items()}
        self.functions = {name: Dimension.of(unit) for name, unit in (functions or {}).items()}

    def of(self, expression: sympy.Expr) -> Dimension | None:
        """Return the dimension of an expression; None where numbers alone make it, which fit anything.

        Sizes are those of the first term that has one; terms of other sizes are found by `numbers`.
        """
        if expression.is_Symbol:
            return self.dimensions[str(expression)]
        if expression.is_number:
            return None
        if expression.is_Add or expression.func.__name__ == "Max":
            found = (self.of(part) for part in expression.args)
            return next((part for part in found if part is not None), None)
        if expression.is_Mul:
            total = PURE
            for part in expression.args:
                total = total.times(self.of(part) or PURE)
            return total
        if expression.is_Pow:
            base, exponent = expression.as_base_exp()
            inside = self.of(base) or PURE
            if inside.is_pure:
                return PURE
            if not exponent.is_Integer:
                raise UnitError(f"{base} is no pure number and is raised to {exponent}")
            total = PURE
            for _ in range(abs(int(exponent))):
                total = total.times(inside, 1 if exponent > 0 else -1)
            return total
        name = expression.func.__name__
        if name in self.functions:
            return self.functions[name]
        return PURE

    def numbers(self, expression: sympy.Expr, wanted: Dimension) -> Iterator[tuple[tuple[int, ...], Dimension]]:
        """Yield where in an expression there are numbers that are no pure ones, as paths of positions, and what in.

        Parameters
        ----------
        expression : sympy.Expr
        wanted : Dimension
            What the whole is measured in.

        Raises
        ------
        UnitError
            Where the two cannot be made to agree.
        """
        yield from self._numbers(expression, wanted, ())

    def _numbers(
        self, expression: sympy.Expr, wanted: Dimension, path: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], Dimension]]:
        if expression.is_number:
            # a constant such as log(2) holds no unit to give
            if expression.is_Number:
                yield path, wanted
            elif not wanted.is_pure:
                raise UnitError(f"{expression} is a pure number where {wanted} is wanted")
            return
        if expression.is_Add or expression.func.__name__ == "Max":
            for place, part in enumerate(expression.args):
                yield from self._numbers(part, wanted, (*path, place))
            return
        own = self.of(expression)
        assert own is not None
        if own.powers != wanted.powers:
            raise UnitError(f"{expression} is in {own}, not in {wanted}")
        factor = wanted.size / own.size
        if expression.is_Mul:
            yield from self._product(expression, factor, path)
            return
        if abs(factor - 1.0) > SAME:
            raise UnitError(f"{expression} is in {own}, not in {wanted}")
        for place, part in enumerate(expression.args):
            if expression.is_Pow and place == 0:
                yield from self._numbers(part, self.of(part) or PURE, (*path, place))
            elif not part.is_Symbol or expression.func.__name__ not in self.functions:
                yield from self._numbers(part, PURE, (*path, place))

    def _product(
        self, expression: sympy.Mul, factor: float, path: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], Dimension]]:
        """Yield the numbers of a product, one of which bridges `factor` where that is not 1."""
        bridged = abs(factor - 1.0) < SAME
        for place, part in enumerate(expression.args):
            if part.is_Number:
                here = not bridged and abs(float(part) * factor - 1.0) < SAME
                bridged = bridged or here
                yield (*path, place), Dimension(factor) if here else PURE
            else:
                inside = self.of(part) or PURE
                if not bridged and part.is_Add:
                    # the conversion may stand in every term of a sum
                    try:
                        found = list(self._numbers(part, inside.times(Dimension(factor)), (*path, place)))
                    except UnitError:
                        found = list(self._numbers(part, inside, (*path, place)))
                    else:
                        bridged = True
                    yield from found
                else:
                    yield from self._numbers(part, inside, (*path, place))
        if not bridged:
            raise UnitError(f"{expression} is {factor:g} times what is wanted")


def unit_id(unit: str) -> str:
    """Return an id for a unit: 'ng/mL' is ng_per_mL."""
    text = unit if not unit.startswith("/") else f"1{unit}"
    # Antimony takes a plural for the name of a unit defined twice
    text = text.replace("points", "scale_point")
    text = text.replace("mm[Hg]", "mmHg").replace("%", "percent").replace("/(", "_per_").replace(")", "")
    text = text.replace("/", "_per_").replace(".", "_")
    return re.sub(r"^1_per", "per", text)


def sbml_parts(dimension: Dimension) -> list[tuple[str, int, float]]:
    """Return (kind, exponent, multiplier) of the base units that SBML makes a dimension of."""
    size = Fraction(1)
    for name, power in dimension.powers:
        size *= _BASE[name][1] ** power
    whole = float(size) * dimension.size
    found = [(_BASE[name][0], power, 1.0) for name, power in dimension.powers]
    # tools look for the size of an amount or a time on its own unit
    for place, (kind, power, _) in enumerate(found):
        if abs(power) == 1:
            found[place] = (kind, power, float(f"{whole**power:.15g}"))
            return found
    return [("dimensionless", 1, whole), *found] if found == [] or abs(whole - 1.0) > SAME else found


#: Base units of SBML for each dimension, and how many of them one of ours is.
_BASE: dict[str, tuple[str, Fraction]] = {
    "time": ("second", Fraction(3600)),
    "mass": ("kilogram", Fraction(1)),
    "volume": ("litre", Fraction(1)),
    "amount": ("mole", Fraction(1, 10**6)),
    "pressure": ("pascal", Fraction("133.322387415")),
    "points": ("item", Fraction(1)),
}
