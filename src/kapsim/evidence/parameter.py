"""A parameter of the model: its value, where it comes from, what is not known of it, and how people differ in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainValidator, model_validator

from kapsim.errors import InputError
from kapsim.evidence.fields import (
    Identities,
    Identity,
    Model,
    NotNegative,
    Number,
    NumberOrNull,
    Text,
    TextOrNull,
    Unit,
    one_of,
    rules,
    word_check,
)
from kapsim.extensions import extensions, own_links

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LINKS = (
    "pharmacokinetics",
    "receptor",
    "glutamate",
    "network",
    "plasticity",
    "inflammation",
    "mind",
    "mood",
    "acute",
    "patient",
    "observation",
)
"""Links of the chain, in the order of the story; last, who is treated and how they are measured."""

STATUSES = ("measured", "derived", "calibrated", "assumed")
"""What a value rests on."""

LAWS = ("lognormal", "normal", "logit_normal", "half_normal")
"""How a value may spread."""


def _known_link(value: Any) -> Any:
    """Check the name of a link: of the chain, or of one that an extension adds."""
    try:
        return word_check((*LINKS, *(getattr(link, "name", "") for link in own_links())))(value)
    except ValueError as error:
        if not extensions():
            raise
        raise ValueError(f"{error}; a link of one's own stands in LINKS of its extension") from None


class Law(Model):
    """How a value spreads, as a transformation of a standard normal deviate.

    Attributes
    ----------
    law : str
        ``lognormal`` (the value is the median), ``normal``, ``logit_normal`` (value in 0 to 1) or ``half_normal`` (the
        value plus the size of the deviate).
    sd : float
        Standard deviation on the log scale (lognormal), on the logit scale (logit_normal), or in the unit of the value.
    low, high : float or None
        Bounds in the unit of the value; what falls outside is set to the bound.
    """

    law: Annotated[str, one_of(LAWS)]
    sd: NotNegative
    low: NumberOrNull = None
    high: NumberOrNull = None

    @model_validator(mode="after")
    def _ordered(self) -> Law:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low: bounds are upside down: {self.low} to {self.high}")
        return self

    def problems(self, value: float) -> list[str]:
        """Return what keeps the law from being applied to a value, each as ``key: what is wrong``."""
        found = []
        if self.law == "logit_normal" and not 0 < value < 1:
            found.append(f"law: logit_normal needs a value between 0 and 1, not {value}")
        if self.law == "lognormal" and value == 0:
            found.append("law: lognormal needs a value other than 0")
        if self.law == "half_normal" and value < 0:
            found.append(f"law: half_normal needs a value of 0 or more, not {value}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            found.append(f"low, high: the value {value} lies outside the bounds {self.low} to {self.high}")
        return found

    def apply(self, value: npt.ArrayLike, z: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn standard normal deviates into values.

        Parameters
        ----------
        value : array_like
            Centre of the law, in the parameter's unit; broadcast against `z`.
        z : array_like
            Standard normal deviates.

        Returns
        -------
        ndarray of float
            Values in the parameter's unit, of the broadcast shape.

        Raises
        ------
        InputError
            If a logit-normal centre lies outside 0 to 1.
        """
        import numpy as np

        centre, deviate = np.asarray(value, dtype=float), np.asarray(z, dtype=float)
        if self.law == "lognormal":
            drawn = centre * np.exp(self.sd * deviate)
        elif self.law == "normal":
            drawn = centre + self.sd * deviate
        elif self.law == "half_normal":
            drawn = centre + self.sd * np.abs(deviate)
        else:
            if not np.all((centre > 0) & (centre < 1)):
                raise InputError("a logit-normal law needs values between 0 and 1")
            logit = np.log(centre / (1 - centre)) + self.sd * deviate
            # The exponential of a negative number only, so that wide laws do not overflow.
            small = np.exp(-np.abs(logit))
            drawn = np.where(logit >= 0, 1.0, small) / (1 + small)
        if self.low is not None or self.high is not None:
            drawn = np.clip(drawn, self.low, self.high)
        return np.asarray(drawn, dtype=float)

    def describe(self, unit: str) -> str:
        """Return the law in words.

        Parameters
        ----------
        unit : str
            Unit of the parameter, for standard deviations and bounds that are in it.

        Returns
        -------
        str
            For example ``"lognormal, sd 0.29 (log scale), 5 to 60 L"``.
        """
        scale = {"lognormal": "(log scale)", "logit_normal": "(logit scale)"}.get(self.law, unit)
        text = f"{self.law.replace('_', '-')}, sd {self.sd:g} {scale}"
        if self.low is not None and self.high is not None:
            return f"{text}, {self.low:g} to {self.high:g} {unit}"
        if self.low is not None:
            return f"{text}, at least {self.low:g} {unit}"
        return text if self.high is None else f"{text}, at most {self.high:g} {unit}"


class BetweenSubject(Law):
    """How people differ in a parameter, and the evidence records that say so.

    Attributes
    ----------
    sources : tuple of str
        Ids of evidence records; empty where the spread is assumed.
    """

    sources: Identities = ()


class Prior(Model):
    """What was known of a calibrated parameter before its calibration.

    Attributes
    ----------
    value : float
        In the parameter's unit.
    status : str
        ``measured``, ``derived`` or ``assumed``.
    uncertainty : Law
    formula : str or None
        Arithmetic over evidence records, for a derived value.
    """

    value: Number
    status: Annotated[str, one_of(STATUSES)]
    uncertainty: Law
    formula: TextOrNull = None


class Parameter(Model):
    """A parameter of the model.

    Attributes
    ----------
    id : str
        Dotted lower case, unique.
    link : str
        Link of the chain that it belongs to.
    name : str
    symbol : str or None
        LaTeX.
    value : float
        In `unit`.
    unit : str
    status : str
        ``measured``, ``derived``, ``calibrated`` or ``assumed``.
    sources : tuple of str
        Ids of evidence records.
    formula : str or None
        Arithmetic over evidence records, for a derived value.
    uncertainty : Law or None
        What is not known about the value.
    between_subject : BetweenSubject or None
        How people differ.
    fitted_to : tuple of str
        Ids of observed records that the value was fitted or set by hand to: they are no test of the model.
    prior : Prior or None
        What a calibration started from, for a calibrated value.
    inert : str or None
        Why moving it moves no output, where that is so.
    note : str or None
    """

    id: Identity
    link: Annotated[str, PlainValidator(_known_link)]
    name: Text
    symbol: TextOrNull = None
    value: Number
    unit: Unit
    status: Annotated[str, one_of(STATUSES)]
    sources: Identities = ()
    formula: TextOrNull = None
    uncertainty: Law | None = None
    between_subject: BetweenSubject | None = None
    fitted_to: Identities = ()
    prior: Prior | None = None
    inert: TextOrNull = None
    note: TextOrNull = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_empty(cls, data: Any) -> Any:
        if isinstance(data, dict) and "sources" in data and data["sources"] is None:
            return {**data, "sources": []}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Parameter:
        found = []
        if self.status in ("measured", "derived") and not self.sources:
            found.append(f"sources: a {self.status} value needs at least one evidence record")
        if (self.formula is None) == (self.status == "derived"):
            found.append(
                "formula: a derived value needs a formula"
                if self.formula is None
                else f"formula: only a derived value has a formula, and this is {self.status}"
            )
        if self.status == "assumed" and (self.uncertainty is None or self.uncertainty.sd == 0):
            found.append("uncertainty: an assumed value needs an uncertainty with sd above 0")
        for key, law in (("uncertainty", self.uncertainty), ("between_subject", self.between_subject)):
            if law is not None:
                found += [f"{key}.{line}" for line in law.problems(self.value)]
        rules(found)
        return self

    @property
    def value_sources(self) -> tuple[str, ...]:
        """Ids of every evidence record behind the value and its formula, each once."""
        from kapsim.evidence.arithmetic import formula_ids

        formula = self.formula if self.prior is None else self.prior.formula
        inside = formula_ids(formula) if formula is not None else ()
        return tuple(dict.fromkeys((*self.sources, *inside)))

    @property
    def all_sources(self) -> tuple[str, ...]:
        """Ids of every evidence record behind the value, its formula and the spread between people, each once."""
        spread = self.between_subject.sources if self.between_subject is not None else ()
        return tuple(dict.fromkeys((*self.value_sources, *spread)))
