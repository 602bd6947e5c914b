"""Trial design: what is compared, in whom, what is seen and how it is analysed, as a file says it.

A design that exists is consistent: every check that needs no other file runs when it is made. The protocols that its
arms name are read by `kapsim.trial.design`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kapsim.file_model import Duration, FileModel, Line, Lines, Quantity, SchemaVersion, Time, Times, problem, quantity
from kapsim.protocol.schedule import distinct_times
from kapsim.protocol.schema import Masking, Protocol

__all__ = [
    "Adherence",
    "Analysis",
    "Baseline",
    "Crossover",
    "Design",
    "Discontinuation",
    "Interim",
    "Primary",
    "Recruits",
    "Rescue",
    "Sites",
    "TrialArm",
    "Withdrawal",
]

Kind = Literal["parallel", "factorial", "crossover", "withdrawal"]
Scale = Literal["madrs", "hdrs17", "qids", "phq9", "bdi", "hama", "gad7"]
Measure = Literal["change", "response", "remission"]
Strategy = Literal["treatment_policy", "hypothetical", "composite"]
Method = Literal["ancova", "mmrm"]
Covariate = Literal["baseline", "site", "sex", "age"]
Factor = Literal["site", "sex", "severity"]
Spending = Literal["obrien_fleming", "pocock"]
Share = Annotated[float, Field(ge=0, le=1)]
Chance = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Reference = Annotated[str, Field(min_length=1, max_length=400)]

#: Scales that measure depression, on which response and remission mean something here.
DEPRESSION = ("madrs", "hdrs17", "qids", "phq9", "bdi")
MOST_ARMS, MOST_VISITS, MOST_SITES, MOST_LOOKS = 8, 24, 500, 5


class TrialArm(FileModel):
    """One arm: its protocol by name, by file or written out, its share of people, and its levels in a factorial."""

    name: Name
    protocol: Reference | None = None
    inline: Protocol | None = None
    ratio: Annotated[int, Field(ge=1, le=10)] = 1
    drug: bool | None = None
    therapy: bool | None = None

    @model_validator(mode="after")
    def _one_protocol(self) -> TrialArm:
        if (self.protocol is None) == (self.inline is None):
            found = "neither" if self.protocol is None else "both"
            raise problem(f"needs one of 'protocol' (a name or a file) and 'inline'; {found} is given")
        return self


class Baseline(FileModel):
    """Rated severity at entry."""

    scale: Scale
    mean: Annotated[float, Field(gt=0, le=60)]
    sd: Annotated[float, Field(gt=0, le=20)] | None = None


class Recruits(FileModel):
    """Who is recruited, as a publication describes them; what is left out is that of treatment-resistant depression."""

    age: Annotated[Quantity, quantity("a", example="45 a", low=18.0, high=110.0)] | None = None
    age_sd: Annotated[Quantity, quantity("a", example="12 a", high=30.0)] | None = None
    weight: Annotated[Quantity, quantity("kg", example="80 kg", low=25.0, high=350.0)] | None = None
    female: Share | None = None
    baseline: Baseline | None = None
    chosen: bool = True


class Sites(FileModel):
    """Centres: how many, and by how much the change of a rating differs between them, in points of each scale."""

    count: Annotated[int, Field(ge=1, le=MOST_SITES)]
    sd: Annotated[float, Field(ge=0, le=20)] = 0.0


class Primary(FileModel):
    """The primary endpoint."""

    scale: Scale
    visit: Time
    measure: Measure = "change"

    @model_validator(mode="after")
    def _known(self) -> Primary:
        if self.measure == "response" and self.scale not in DEPRESSION:
            raise problem(f"response is of depression, not on '{self.scale}'; use {', '.join(DEPRESSION)}", "scale")
        if self.measure == "remission" and self.scale != "madrs":
            raise problem(
                f"remission is defined on the madrs, not on '{self.scale}'; use 'madrs' or 'response'", "scale"
            )
        return self


class Discontinuation(FileModel):
    """Treatment given up while the person still comes to visits: the chance of it in a week."""

    weekly: Chance
    strategy: Strategy | None = None


class Rescue(FileModel):
    """An oral antidepressant begun at the first visit, not before `from`, with a rating of `at_least`."""

    from_: Time = Field(alias="from")
    at_least: Annotated[float, Field(gt=0, le=60)]
    strategy: Strategy | None = None


class Adherence(FileModel):
    """Treatment visits missed: the chance of each, with its dose and the sessions around it."""

    missed: Chance


class Analysis(FileModel):
    """How the primary endpoint is analysed; `alpha` is two-sided."""

    method: Method = "ancova"
    covariates: Annotated[tuple[Covariate, ...], Field(strict=False)] = ("baseline",)
    alpha: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05

    @model_validator(mode="after")
    def _distinct(self) -> Analysis:
        _check_distinct(self.covariates, "covariates")
        return self


class Interim(FileModel):
    """Interim looks for efficacy: shares of the people at which they are taken, before the last look at all of them."""

    fractions: Annotated[tuple[Annotated[float, Field(gt=0.05, lt=1)], ...], Field(strict=False, min_length=1)]
    spending: Spending = "obrien_fleming"

    @model_validator(mode="after")
    def _ascending(self) -> Interim:
        if len(self.fractions) >= MOST_LOOKS:
            raise problem(f"there are over {MOST_LOOKS - 1} interim looks; give fewer", "fractions")
        for index in range(1, len(self.fractions)):
            if self.fractions[index] <= self.fractions[index - 1]:
                raise problem("looks come one after the other; give ascending shares", "fractions", index)
        return self


class Withdrawal(FileModel):
    """Randomised withdrawal: an open run-in, after which those who do well are randomised and followed to relapse."""

    run_in: Reference | None = None
    inline: Protocol | None = None
    length: Duration
    randomise: Literal["response", "remission"] = "response"

    @model_validator(mode="after")
    def _one_protocol(self) -> Withdrawal:
        if (self.run_in is None) == (self.inline is None):
            found = "neither" if self.run_in is None else "both"
            raise problem(f"needs one of 'run_in' (a name or a file) and 'inline'; {found} is given")
        return self


class Crossover(FileModel):
    """How long a person is left alone between the two periods; both baselines are rated before the first dose."""

    washout: Annotated[Quantity, quantity("h", example="2 wk", high=24.0 * 366)]

    @model_validator(mode="after")
    def _long_enough(self) -> Crossover:
        if 0.0 < self.washout.to("h") < 1.0:
            raise problem(f"'{self.washout}' is under an hour; give 0 h or more than 1 h", "washout")
        return self


def _check_distinct(items: tuple[str, ...], key: str) -> None:
    for index, item in enumerate(items):
        if item in items[:index]:
            raise problem(f"'{item}' stands twice; keep one", key, index)


class Design(FileModel):
    """A trial; see the description of the format in the documentation."""

    schema_version: SchemaVersion
    name: Name
    title: Line
    description: Lines | None = None
    kind: Kind = "parallel"
    masking: Masking
    arms: Annotated[tuple[TrialArm, ...], Field(strict=False)]
    control: Name
    population: Reference | None = None
    recruits: Recruits | None = None
    sites: Sites | None = None
    stratify: Annotated[tuple[Factor, ...], Field(strict=False)] = ()
    visits: Times
    scales: Annotated[tuple[Scale, ...], Field(strict=False, min_length=1)] = ("madrs",)
    primary: Primary
    estimand: Strategy = "treatment_policy"
    discontinuation: Discontinuation | None = None
    rescue: Rescue | None = None
    dropout: Literal["none", "trial", "clinic"] = "trial"
    adherence: Adherence | None = None
    analysis: Analysis = Analysis()
    interim: Interim | None = None
    crossover: Crossover | None = None
    withdrawal: Withdrawal | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Design:
        self._check_arms()
        self._check_visits()
        self._check_kind()
        _check_distinct(self.stratify, "stratify")
        if self.sites is None:
            for key, words in (("stratify", self.stratify), ("analysis", self.analysis.covariates)):
                if "site" in words:
                    raise problem("'site' needs sites; add 'sites: {count: 5}' or leave it out", key)
        if self.population is not None and self.recruits is not None:
            raise problem("cannot stand beside 'population'; give only one of them", "recruits")
        return self

    def _check_arms(self) -> None:
        if not 2 <= len(self.arms) <= MOST_ARMS:
            raise problem(f"there are {len(self.arms)} arms; give 2 to {MOST_ARMS}", "arms")
        names = [arm.name for arm in self.arms]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise problem(f"'{name}' stands twice; give each arm a name of its own", "arms", index, "name")
        if self.control not in names:
            raise problem(f"'{self.control}' is no arm; give one of {', '.join(names)}", "control")

    def _check_visits(self) -> None:
        visits = distinct_times(self.visits, "visits")
        if len(visits) > MOST_VISITS:
            raise problem(f"there are over {MOST_VISITS} visits; give fewer", "visits")
        if visits[0] <= 0.0:
            raise problem("a visit at the start is the baseline, which is always there; leave it out", "visits")
        _check_distinct(self.scales, "scales")
        if self.primary.scale not in self.scales:
            raise problem(f"'{self.primary.scale}' is not among the scales; add it to 'scales'", "primary", "scale")
        if not any(abs(visit - self.primary.visit.to("h")) < 1e-6 for visit in visits):
            shown = ", ".join(str(visit) for visit in self.visits)
            raise problem(f"'{self.primary.visit}' is no visit; give one of {shown}", "primary", "visit")
        if self.rescue is not None and self.rescue.from_.to("h") > visits[-1]:
            raise problem("is after the last visit; give an earlier time", "rescue", "from")

    def _check_kind(self) -> None:
        for key in ("crossover", "withdrawal"):
            given = getattr(self, key) is not None
            if given and self.kind != key:
                raise problem(f"goes with 'kind: {key}', not with '{self.kind}'; remove it", key)
            if not given and self.kind == key:
                example = "{washout: 2 wk}" if key == "crossover" else "{run_in: esketamine_induction, length: 4 wk}"
                raise problem(f"'kind: {key}' needs '{key}: {example}'", "kind")
        if self.kind == "crossover" and len(self.arms) != 2:
            raise problem(f"a crossover has two treatments, not {len(self.arms)}; give two arms", "arms")
        levels = [(arm.drug, arm.therapy) for arm in self.arms]
        if self.kind == "factorial":
            wanted = {(drug, therapy) for drug in (False, True) for therapy in (False, True)}
            if len(levels) != len(wanted) or set(levels) != wanted:
                raise problem(
                    "a factorial has four arms: 'drug' and 'therapy' each true and false in all pairs", "arms"
                )
        for index, pair in enumerate(levels):
            if self.kind != "factorial" and pair != (None, None):
                raise problem("'drug' and 'therapy' go with 'kind: factorial'; remove them", "arms", index)
        if self.kind in ("crossover", "withdrawal"):
            self._check_simple()

    def _check_simple(self) -> None:
        """Raise for what a crossover or a randomised withdrawal does not have here."""
        for key in ("discontinuation", "rescue", "interim"):
            if getattr(self, key) is not None:
                raise problem(f"is not built for 'kind: {self.kind}'; remove it", key)
        if self.analysis.method == "mmrm":
            raise problem(f"'mmrm' is not built for 'kind: {self.kind}'; leave the method out", "analysis", "method")
        if self.primary.measure != "change":
            raise problem(f"'kind: {self.kind}' has an analysis of its own; leave 'measure' out", "primary", "measure")
        if self.kind == "withdrawal" and self.primary.scale != "madrs":
            raise problem("relapse is defined on the madrs; use 'madrs'", "primary", "scale")
        if any(arm.ratio != 1 for arm in self.arms) and self.kind == "crossover":
            raise problem("the sequences of a crossover are equally likely; leave 'ratio' out", "arms")
