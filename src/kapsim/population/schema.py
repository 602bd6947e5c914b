"""Population: how the traits of the people of a study spread and go together, as a file says it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from kapsim.errors import InputError
from kapsim.file_model import FileModel, Line, Lines, Quantity, SchemaVersion, nearest_of, problem
from kapsim.patient.schema import Diagnosis
from kapsim.population.laws import Law, law_of_mean, law_of_median, law_of_share
from kapsim.population.traits import BODY, TRAITS
from kapsim.strict_yaml import one_line
from kapsim.units import dimension, parse_quantity

__all__ = ["Correlation", "Figure", "Marginal", "PopulationFile", "Target"]

Status = Literal["measured", "derived", "assumed"]
#: Statistics that a source may print of a trait.
Statistic = Literal["mean", "sd", "median", "share", "share_above", "quantile"]


def _written(value: object) -> Quantity:
    if isinstance(value, Quantity):
        return value
    if not isinstance(value, str):
        found = "nothing" if value is None else one_line(repr(value), 40)
        raise problem(f"a number with its unit is needed, not {found}; write it like '45 a'")
    try:
        return Quantity(*parse_quantity(value))
    except InputError as error:
        raise problem(str(error)) from None


def _written_or_plain(value: object) -> Quantity | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise problem("is not finite; write a plain number, like 0.5")
        return float(value)
    return _written(value)


def _as_text(value: Quantity | float) -> Any:
    return str(value) if isinstance(value, Quantity) else value


Amount = Annotated[Quantity, PlainValidator(_written), PlainSerializer(_as_text, return_type=Any)]
AmountOrNumber = Annotated[
    Quantity | float, PlainValidator(_written_or_plain), PlainSerializer(_as_text, return_type=Any)
]
Sources = Annotated[tuple[Line, ...], Field(strict=False)]
Share = Annotated[float, Field(gt=0, lt=1)]


def _known_trait(value: object) -> str:
    if not isinstance(value, str) or value not in TRAITS:
        shown = one_line(value, 40)
        raise problem(f"'{shown}' is no trait; {nearest_of(shown, list(TRAITS), 'trait')}")
    return value


TraitName = Annotated[str, PlainValidator(_known_trait)]


class Figure(FileModel):
    """A figure that a source prints of a trait, to hold the drawn people against."""

    statistic: Statistic
    value: AmountOrNumber
    at: AmountOrNumber | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    error: AmountOrNumber | None = None
    source: Line
    #: False for what another study printed, shown beside but not used by the law.
    used: bool = True


class Marginal(FileModel):
    """How one trait spreads: its law, and what that rests on."""

    law: Literal["normal", "lognormal", "share"]
    mean: Amount | None = None
    sd: Amount | None = None
    median: Amount | None = None
    log_sd: Annotated[float, Field(gt=0, le=4)] | None = None
    share: Share | None = None
    low: Amount | None = None
    high: Amount | None = None
    status: Status
    width: AmountOrNumber | None = None
    sources: Sources = ()
    published: Annotated[tuple[Figure, ...], Field(strict=False)] = ()
    note: Lines | None = None

    @model_validator(mode="after")
    def _complete(self) -> Marginal:
        given = {name for name in ("mean", "sd", "median", "log_sd", "share") if getattr(self, name) is not None}
        wanted: dict[str, tuple[set[str], ...]] = {
            "normal": ({"mean", "sd"},),
            "lognormal": ({"mean", "sd"}, {"median", "log_sd"}),
            "share": ({"share"},),
        }
        if given not in wanted[self.law]:
            words = " or ".join(" and ".join(sorted(keys)) for keys in wanted[self.law])
            found = ", ".join(sorted(given)) or "nothing"
            raise problem(f"a {self.law} law needs {words}; found {found}", "law")
        if self.law == "share" and (self.low is not None or self.high is not None):
            raise problem("a share has no bounds; leave them out", "low" if self.low is not None else "high")
        if self.status == "assumed" and self.width is None:
            raise problem("what is assumed needs a width: how far its centre may lie elsewhere, as one SD", "width")
        if self.status != "assumed" and not self.sources:
            raise problem(f"what is {self.status} needs sources; or write 'status: assumed' with a width", "sources")
        return self


class Correlation(FileModel):
    """How two traits go together: Pearson's r of their values."""

    between: Annotated[tuple[TraitName, TraitName], Field(strict=False)]
    r: Annotated[float, Field(gt=-1, lt=1)]
    status: Status
    width: Annotated[float, Field(gt=0, le=2)] | None = None
    n: Annotated[int, Field(ge=4)] | None = None
    sources: Sources = ()
    note: Lines | None = None

    @model_validator(mode="after")
    def _complete(self) -> Correlation:
        if self.between[0] == self.between[1]:
            raise problem(f"'{self.between[0]}' stands twice; name two traits", "between")
        if self.status == "assumed" and self.width is None:
            raise problem("what is assumed needs a width: one SD of Fisher's z", "width")
        if self.status != "assumed" and not self.sources:
            raise problem(f"what is {self.status} needs sources; or write 'status: assumed' with a width", "sources")
        return self


class Target(FileModel):
    """What a trait shall be after reweighting."""

    mean: Amount | None = None
    sd: Amount | None = None
    share: Share | None = None

    @model_validator(mode="after")
    def _complete(self) -> Target:
        if (self.share is None) == (self.mean is None):
            raise problem("a mean (and an sd), or the share of a trait that is there or not, is needed")
        if self.share is not None and self.sd is not None:
            raise problem("a share has no sd; leave it out", "sd")
        return self


class PopulationFile(FileModel):
    """A population as its file says it; a trait that it leaves out is drawn as where no population is named."""

    schema_version: SchemaVersion
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    title: Line
    description: Lines | None = None
    diagnosis: Diagnosis | None = None
    enrolled_by_rating: bool | None = None
    based_on: Line | None = None
    marginals: dict[str, Marginal] = Field(default_factory=dict)
    correlations: Annotated[tuple[Correlation, ...], Field(strict=False)] = ()
    targets: dict[str, Target] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> PopulationFile:
        if self.based_on is None:
            if self.targets:
                raise problem("targets reweight another population; name it with 'based_on: ...'", "targets")
            if not self.marginals:
                raise problem("a population needs marginals, or another population with 'based_on: ...'", "marginals")
            if self.diagnosis is None:
                raise problem("is missing; add 'diagnosis: ...'", "diagnosis")
        for key in ("marginals", "targets"):
            for name in getattr(self, key):
                if name not in TRAITS:
                    raise problem(f"is no trait; {nearest_of(name, list(TRAITS), 'trait')}", key, name)
        for trait, marginal in self.marginals.items():
            _check(trait, marginal)
        for trait, target in self.targets.items():
            _check_target(trait, target)
        if self.based_on is None:
            self.check_together()
        return self

    def check_together(self) -> None:
        """Raise a problem for what only the whole can show: body measures and the pairs of correlations."""
        if all(name in self.marginals for name in BODY):
            raise problem("height, weight and bmi cannot all be given; leave one out, it follows", "marginals", BODY[2])
        if self.diagnosis == "healthy" and "episode" in self.marginals:
            raise problem("healthy people have no episode; leave it out", "marginals", "episode")
        seen: dict[frozenset[str], int] = {}
        for number, item in enumerate(self.correlations):
            for trait in item.between:
                if trait not in self.marginals:
                    raise problem(f"'{trait}' has no marginal here; give one", "correlations", number, "between")
            pair = frozenset(item.between)
            if pair in seen:
                raise problem("this pair stands twice; keep one", "correlations", number, "between")
            seen[pair] = number


def number_of(value: Quantity | float, trait: str, *at: str | int) -> float:
    """Return a number in the trait's unit; a problem at `at` where it is of another dimension."""
    unit = TRAITS[trait].unit
    if isinstance(value, float):
        if unit == "1":
            return value
        raise problem(f"a number with its unit is needed; write it like '{TRAITS[trait].example}'", *at)
    if dimension(value.unit) != dimension(unit):
        raise problem(
            f"'{value}' is a quantity of {dimension(value.unit)}, not of {dimension(unit)}; "
            f"write it like '{TRAITS[trait].example}'",
            *at,
        )
    return value.to(unit)


def _check(trait: str, marginal: Marginal) -> None:
    about, where = TRAITS[trait], ("marginals", trait)
    if about.yes_no != (marginal.law == "share"):
        right = "law: share" if about.yes_no else "law: normal or lognormal"
        raise problem(f"a {marginal.law} law does not fit {trait}; write '{right}'", *where, "law")
    for name in ("mean", "median", "low", "high"):
        value = getattr(marginal, name)
        if value is not None:
            number = number_of(value, trait, *where, name)
            if not about.low <= number <= about.high:
                raise problem(
                    f"'{value}' is out of range; {trait} runs from {about.low:g} to {about.high:g} {about.unit}",
                    *where,
                    name,
                )
    if marginal.sd is not None and not number_of(marginal.sd, trait, *where, "sd") > 0.0:
        raise problem(f"'{marginal.sd}' is no spread; give more than 0", *where, "sd")
    if marginal.width is not None:
        _check_width(trait, marginal)
    low, high = bounds(trait, marginal)
    if not low < high:
        raise problem(f"bounds are upside down: {low:g} to {high:g} {about.unit}", *where, "low")
    for place, figure in enumerate(marginal.published):
        _check_figure(trait, figure, (*where, "published", place))


def _check_width(trait: str, marginal: Marginal) -> None:
    where, width = ("marginals", trait, "width"), marginal.width
    assert width is not None
    if marginal.law == "normal":
        size = number_of(width, trait, *where)
    elif isinstance(width, float):
        size = width
    else:
        scale = "log odds" if marginal.law == "share" else "logarithm"
        raise problem(f"the width of a {marginal.law} law is a plain number, one SD of the {scale}", *where)
    if not size > 0.0:
        raise problem("a width is more than 0", *where)


def _check_figure(trait: str, figure: Figure, where: tuple[str | int, ...]) -> None:
    about = TRAITS[trait]
    shares = figure.statistic in ("share", "share_above")
    if (figure.statistic == "share") != about.yes_no:
        right = "share" if about.yes_no else "mean, sd, median, share_above or quantile"
        raise problem(f"'{figure.statistic}' does not fit {trait}; it is {right}", *where, "statistic")
    if (figure.at is not None) != (figure.statistic in ("share_above", "quantile")):
        raise problem("'at' goes with share_above (a value) and with quantile (a share), and is needed there", *where)
    if shares:
        if not isinstance(figure.value, float) or not 0.0 <= figure.value <= 1.0:
            raise problem("a share is a plain number from 0 to 1", *where, "value")
        if figure.error is not None and not isinstance(figure.error, float):
            raise problem("the error of a share is a plain number", *where, "error")
    else:
        number_of(figure.value, trait, *where, "value")
        if figure.error is not None:
            number_of(figure.error, trait, *where, "error")
    if figure.statistic == "share_above":
        assert figure.at is not None
        number_of(figure.at, trait, *where, "at")
    if figure.statistic == "quantile" and not (isinstance(figure.at, float) and 0.0 < figure.at < 1.0):
        raise problem("the level of a quantile is a plain number between 0 and 1", *where, "at")


def _check_target(trait: str, target: Target) -> None:
    about, where = TRAITS[trait], ("targets", trait)
    if about.yes_no != (target.share is not None):
        raise problem(f"{trait} needs {'a share' if about.yes_no else 'a mean (and an sd)'}", *where)
    if target.mean is not None:
        number = number_of(target.mean, trait, *where, "mean")
        if not about.low <= number <= about.high:
            raise problem(
                f"'{target.mean}' is out of range; {trait} runs from {about.low:g} to {about.high:g} {about.unit}",
                *where,
                "mean",
            )
    if target.sd is not None and not number_of(target.sd, trait, *where, "sd") > 0.0:
        raise problem(f"'{target.sd}' is no spread; give more than 0", *where, "sd")


def bounds(trait: str, marginal: Marginal) -> tuple[float, float]:
    """Return the bounds of a law, in the trait's unit: its own, or what is possible."""
    about = TRAITS[trait]
    low = about.low if marginal.low is None else number_of(marginal.low, trait)
    high = about.high if marginal.high is None else number_of(marginal.high, trait)
    return low, high


def law_of(trait: str, marginal: Marginal) -> Law:
    """Return the law of a trait.

    Raises
    ------
    InputError
        Where no such law lies within the bounds.
    """
    if marginal.share is not None:
        return law_of_share(marginal.share)
    low, high = bounds(trait, marginal)
    if marginal.median is not None:
        assert marginal.log_sd is not None
        return law_of_median(number_of(marginal.median, trait), marginal.log_sd, low, high)
    assert marginal.mean is not None
    assert marginal.sd is not None
    return law_of_mean(marginal.law, number_of(marginal.mean, trait), number_of(marginal.sd, trait), low, high)


def width_of(trait: str, marginal: Marginal) -> float:
    """Return how far the centre may lie elsewhere, one SD on the scale of the law's shift; 0 where it is not said."""
    if marginal.width is None:
        return 0.0
    return marginal.width if isinstance(marginal.width, float) else number_of(marginal.width, trait)
