"""The records of the evidence files as types: what each holds and every rule it must meet.

``parameters-*.yaml`` hold `EvidenceParameter` records, ``observed-*.yaml`` hold `ObservedRecord` records; the meaning
of each key is written for people in ``data/README.md``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainValidator, model_validator

from kapsim.evidence import vocabulary as words
from kapsim.evidence.fields import (
    PAIRS,
    Hours,
    Identity,
    Model,
    Note,
    NotNegative,
    NotNegativeOrNull,
    Number,
    NumberOrNull,
    PairOrNull,
    Text,
    TextOrNull,
    Unit,
    check_pair,
    is_number,
    list_of,
    number,
    one_of,
    rules,
    word_check,
)


class Spread(Model):
    """How far a measured quantity spreads.

    Attributes
    ----------
    kind : str
        ``sd``, ``se``, ``cv_percent``, ``variance`` and the like for one number; ``ci95``, ``ci90``, ``cri95``,
        ``iqr`` or ``range`` for a lower and an upper end.
    value : float or tuple of (float or None, float or None)
        In the unit of the quantity, except where the kind says otherwise.
    """

    kind: Text
    value: Annotated[float | tuple[float | None, float | None], PlainValidator(lambda value: value)]

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "value" not in data or not isinstance(data.get("kind"), str):
            return data
        if data["kind"] in PAIRS:
            try:
                return {**data, "value": check_pair(data["value"])}
            except ValueError as error:
                raise ValueError(f"value: {error}") from None
        if not is_number(data["value"]):
            raise ValueError(f"value: is not a number: {data['value']!r}")
        return data


class Source(Model):
    """Where a figure was read. A field is None where the source did not show it.

    Attributes
    ----------
    author : str
        First author's name, or a remark that it was not shown or only recalled.
    year : int or None
    journal, doi : str or None
    where : str or None
        Place within the source: abstract, table, code file.
    """

    author: Text
    year: Annotated[int | None, number(1800, 2100, null=True)]
    journal: TextOrNull
    doi: TextOrNull
    where: TextOrNull


class EvidenceParameter(Model):
    """A measured quantity that a model parameter can be set from.

    Attributes
    ----------
    id : str
        Dotted lower case, unique over all evidence files.
    quantity : str
        What was measured, with its conditions.
    value : float or None
        Central figure in `unit`.
    unit : str
    spread : Spread or None
    n : float or None
        Sample size.
    species : str or None
    source : Source
    confidence : str
        ``read`` or ``secondary``.
    note : str or None
    """

    id: Identity
    quantity: Text
    value: NumberOrNull
    unit: Unit
    spread: Spread | None
    n: Annotated[float | None, number(0, null=True)]
    species: TextOrNull
    source: Source
    confidence: Annotated[str, one_of(words.CONFIDENCE)]
    note: Note


class Study(Model):
    """The publication of an observed record."""

    author: Text
    year: Annotated[int | None, number(1900, 2100, null=True)]
    journal: TextOrNull
    doi: TextOrNull
    design: Text
    population: Text
    n: Annotated[float | None, number(1, null=True)]


class Baseline(Model):
    """Score of a group before treatment; `scale` without its prefix."""

    scale: Annotated[str | None, one_of(words.SCALES, null=True)]
    mean: NumberOrNull
    sd: Annotated[float | None, number(0, null=True)]

    @model_validator(mode="after")
    def _together(self) -> Baseline:
        if (self.scale is None) != (self.mean is None):
            raise ValueError("scale: needs scale and mean together")
        return self


class Group(Model):
    """Whom to simulate; None where the source does not say. Ages in years, weights in kg, fractions 0 to 1.

    `age_sd` may be left out.
    """

    diagnosis: Annotated[str, one_of(words.DIAGNOSES)]
    age_years: Annotated[float | None, number(0, 120, null=True)]
    age_sd: Annotated[float | None, number(0, 60, null=True)] = None
    weight_kg: Annotated[float | None, number(0.01, 300, null=True)]
    female_fraction: Annotated[float | None, number(0, 1, null=True)]
    baseline: Baseline


class ObservedDose(Model):
    """One drug by one route in one amount, at one or more hours; a control has amount 0."""

    drug: Annotated[str, one_of(words.DRUGS)]
    route: Annotated[str, one_of(words.ROUTES)]
    amount: NotNegative
    unit: Annotated[str, one_of(words.DOSE_UNITS)]
    duration_min: NotNegative
    at_h: Hours

    @model_validator(mode="after")
    def _consistent(self) -> ObservedDose:
        found = []
        if self.unit in words.TIMED_UNITS and not self.duration_min:
            found.append("duration_min: a rate or a target needs a duration")
        if (self.amount == 0) != (self.drug in words.CONTROLS):
            right = "a control has amount 0" if self.amount else "only a control has amount 0"
            found.append(f"amount: {self.amount} of {self.drug}; {right}")
        rules(found)
        return self


class ObservedTherapy(Model):
    """Sessions of one kind of therapy, `minutes` long, at one or more hours."""

    kind: Annotated[str, one_of(words.THERAPIES)]
    minutes: Annotated[float, number(1)]
    at_h: Hours


class Regimen(Model):
    """What a group received, and which fields hold the usual value because no source gave one."""

    doses: tuple[ObservedDose, ...] = Field(strict=False)
    therapy: tuple[ObservedTherapy, ...] = Field(strict=False)
    accompaniments: Annotated[tuple[str, ...], list_of(word_check(words.ACCOMPANIMENTS))] = Field(alias="with")
    assumed: Annotated[tuple[str, ...], list_of(word_check(words.ASSUMED))]


class Outcome(Model):
    """What was observed and how it is expressed."""

    observable: Annotated[str, one_of(words.OBSERVABLES)]
    statistic: Annotated[str, one_of(words.STATISTICS)]
    against: TextOrNull
    definition: TextOrNull
    central: Annotated[str | None, one_of(words.CENTRAL, null=True)]
    sampling: Annotated[str | None, one_of(words.SAMPLING, null=True)]
    unit: Unit

    @model_validator(mode="after")
    def _consistent(self) -> Outcome:
        found = []
        if self.statistic in words.COMPARATIVE and self.against is None:
            found.append(f"against: {self.statistic} needs against")
        if self.sampling is not None and not self.observable.startswith("plasma."):
            found.append("sampling: stands outside plasma; set it to null")
        rules(found)
        return self


class Point(Model):
    """One figure of an observed record: hour, value, sample size and at most one spread."""

    time_h: NumberOrNull
    value: Number
    n: Annotated[float | None, number(1, null=True)]
    sd: NotNegativeOrNull = None
    se: NotNegativeOrNull = None
    gsd: NotNegativeOrNull = None
    plusminus: NotNegativeOrNull = None
    ci95: PairOrNull = None
    ci90: PairOrNull = None
    iqr: PairOrNull = None
    range: PairOrNull = None

    @model_validator(mode="after")
    def _one_spread(self) -> Point:
        given = sorted(self.model_fields_set & words.POINT_SPREADS)
        rules([f"{name}: is not given; leave the key out" for name in given if getattr(self, name) is None])
        if len(given) > 1:
            raise ValueError(f"{given[1]}: more than one spread: {', '.join(given)}")
        return self


class ObservedRecord(Model):
    """A published outcome that a simulation can be held against."""

    id: Identity
    study: Study
    group: Group
    arm: Text
    regimen: Regimen
    outcome: Outcome
    points: tuple[Point, ...] = Field(strict=False)
    confidence: Annotated[str, one_of(words.CONFIDENCE)]
    use: Annotated[str, one_of(words.USE)]
    note: TextOrNull

    @model_validator(mode="after")
    def _consistent(self) -> ObservedRecord:
        statistic, found = self.outcome.statistic, []
        if self.use == "none" and "Not simulated" not in (self.note or ""):
            found.append("use: none without a reason in the note; write there 'Not simulated: ...'")
        if statistic == "sign" and self.use == "quantitative":
            found.append("use: a sign cannot be quantitative")
        if not self.points:
            found.append("points: no points")
        for index, point in enumerate(self.points):
            where = f"points[{index}]"
            if point.time_h is None and self.use == "quantitative" and statistic not in words.TIMELESS:
                found.append(f"{where}.time_h: {statistic} without a time")
            if statistic == "sign" and point.value not in (-1, 0, 1):
                found.append(f"{where}.value: sign is {point.value!r}; -1, 0 or 1")
            if statistic in words.SHARES and self.outcome.unit == "%" and not 0 <= point.value <= 100:
                found.append(f"{where}.value: share out of 0 to 100: {point.value}")
        times = [point.time_h for point in self.points if point.time_h is not None]
        if times != sorted(set(times)):
            found.append("points: times repeat or are not in order")
        rules(found)
        return self
