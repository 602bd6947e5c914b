"""A design with its protocols: what each arm comes down to, on the clock of the trial.

Time 0 is entry. Whoever is in a parallel or factorial trial has one period; a crossover has two with a washout between,
a randomised withdrawal a run-in and what follows. A person is simulated through all of it in one go, so that the second
period begins where the person then stands.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kapsim import file_model, strict_yaml
from kapsim.errors import InputError
from kapsim.population.loading import load_population
from kapsim.population.population import Population
from kapsim.protocol import Protocol, load_protocol
from kapsim.protocol.schedule import EPSILON_H, distinct_times
from kapsim.protocol.schema import METABOLIC
from kapsim.trial.schema import Design

__all__ = ["Period", "Trial", "load_design", "parse_design"]


@dataclass(frozen=True)
class Period:
    """A stretch of time under one protocol.

    Parameters
    ----------
    protocol : Protocol
        What is done, counted from the start of the period.
    start_h, end_h : float
        On the clock of the trial, h.
    masking : str
        What the person is blinded against, or 'open'; the design's word counts, not the protocol's.
    """

    protocol: Protocol
    start_h: float
    end_h: float
    masking: str


@dataclass(frozen=True)
class Trial:
    """A design and the protocols it names.

    Parameters
    ----------
    design : Design
        As the file says it.
    protocols : tuple of Protocol
        Of the arms, in their order.
    run_in : Protocol or None
        Of the run-in of a randomised withdrawal.
    population : Population or None
        Whose people are recruited, where the design names a population.
    """

    design: Design
    protocols: tuple[Protocol, ...]
    run_in: Protocol | None = None
    population: Population | None = None

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of the arms in the order of the file."""
        return tuple(arm.name for arm in self.design.arms)

    @property
    def control(self) -> int:
        """Place of the control among the arms."""
        return self.arm_names.index(self.design.control)

    @property
    def groups(self) -> tuple[str, ...]:
        """What people are randomised to: the arms, or the sequences of a crossover."""
        names = self.arm_names
        if self.design.kind != "crossover":
            return names
        treatment = names[1 - self.control]
        return (f"{treatment}_{self.design.control}", f"{self.design.control}_{treatment}")

    @property
    def visits(self) -> tuple[float, ...]:
        """Visits after the start of a period, h."""
        return distinct_times(self.design.visits, "visits")

    @property
    def length(self) -> float:
        """Time from randomisation, or the start of a period, to its last visit, h."""
        return self.visits[-1]

    @property
    def second_start(self) -> float:
        """Start of the second period of a crossover, or of what follows a run-in; else 0, h."""
        if self.design.crossover is not None:
            return self.length + self.design.crossover.washout.to("h")
        if self.design.withdrawal is not None:
            return self.design.withdrawal.length.to("h")
        return 0.0

    @property
    def hours(self) -> tuple[float, ...]:
        """Every rating after entry, on the clock of the trial, h.

        In a crossover the second baseline is rated at the start of the second period, in a randomised withdrawal the
        people are rated at its end; both are at `second_start`.
        """
        second = self.second_start
        if self.design.kind == "crossover":
            # without a washout the last visit is the second baseline
            between = () if second <= self.length + EPSILON_H else (second,)
            return (*self.visits, *between, *(second + visit for visit in self.visits))
        if self.design.kind == "withdrawal":
            return (second, *(second + visit for visit in self.visits))
        return self.visits

    @property
    def primary(self) -> int:
        """Place of the primary visit in `hours`, of its first period."""
        wanted = self.design.primary.visit.to("h")
        first = self.hours.index(self.second_start) + 1 if self.design.kind == "withdrawal" else 0
        return first + min(range(len(self.visits)), key=lambda k: abs(self.visits[k] - wanted))

    def periods(self, group: int) -> tuple[Period, ...]:
        """Return the periods of an arm, or of a sequence of a crossover.

        Parameters
        ----------
        group : int
            Place in `groups`.
        """
        masking = self.design.masking
        second = self.second_start
        if self.design.kind == "crossover":
            order = (1 - self.control, self.control) if group == 0 else (self.control, 1 - self.control)
            first, later = (self.protocols[place] for place in order)
            return (
                Period(first, 0.0, second, masking),
                Period(later, second, second + self.length, masking),
            )
        if self.run_in is not None:
            return (
                Period(self.run_in, 0.0, second, "open"),
                Period(self.protocols[group], second, second + self.length, masking),
            )
        return (Period(self.protocols[group], 0.0, self.length, masking),)

    def with_design(self, design: Design) -> Trial:
        """Return the trial under a design changed in what names no protocol."""
        return dataclasses.replace(self, design=design)

    def identity(self) -> dict[str, Any]:
        """Return what makes the trial what it is, as plain data: its file with every protocol written out."""
        document = self.design.model_dump(by_alias=True, exclude_none=True, mode="json")
        for arm, protocol in zip(document["arms"], self.protocols, strict=True):
            arm.pop("protocol", None)
            arm["inline"] = protocol.to_yaml()
        if self.run_in is not None:
            document["withdrawal"].pop("run_in", None)
            document["withdrawal"]["inline"] = self.run_in.to_yaml()
        if self.population is not None:
            document["population"] = self.population.provenance()
        return dict(document)

    def digest(self) -> str:
        """Return the SHA-256 of `identity`."""
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


def parse_design(text: str | bytes, *, source: str = "<design>", folder: Path = Path()) -> Trial:
    """Read a design from the text of a file.

    Parameters
    ----------
    text : str or bytes
        YAML.
    source : str
        What to call it in messages.
    folder : Path
        Where files that it names are looked for.

    Raises
    ------
    InputError
        With source, line and key of the first problem.
    """
    return _resolve(strict_yaml.parse(text, source=source), folder)


def load_design(path: str | Path) -> Trial:
    """Load a design from a file.

    Parameters
    ----------
    path : str or Path
        A YAML file; files that it names are looked for beside it.

    Raises
    ------
    InputError
        If it cannot be read, or with file, line and key of the first problem.
    """
    target = Path(path)
    return _resolve(strict_yaml.read(target), target.parent)


def _resolve(document: strict_yaml.Document, folder: Path) -> Trial:
    design = file_model.validate(Design, document)

    def protocol(name: str | None, inline: Protocol | None, *at: str | int) -> Protocol:
        if inline is not None:
            return inline
        assert name is not None
        try:
            return load_protocol(_beside(name, folder))
        except InputError as error:
            raise document.error(at, str(error)) from None

    protocols = tuple(
        protocol(arm.protocol, arm.inline, "arms", place, "protocol" if arm.inline is None else "inline")
        for place, arm in enumerate(design.arms)
    )
    run_in = None
    if (own := design.withdrawal) is not None:
        run_in = protocol(own.run_in, own.inline, "withdrawal", "run_in" if own.inline is None else "inline")
    population = None
    if design.population is not None:
        try:
            population = load_population(_beside(design.population, folder))
        except InputError as error:
            raise document.error(("population",), str(error)) from None
    trial = Trial(design, protocols, run_in, population)
    for group in range(len(trial.groups)):
        if (text := _impossible(trial.periods(group))) is not None:
            raise document.error(("arms", min(group, len(design.arms) - 1)), text)
    return trial


def _beside(name: str, folder: Path) -> str | Path:
    """Return the path of a file that stands beside the design, or a name as it is."""
    looks_like_file = Path(name).suffix.lower() in (".yaml", ".yml", ".csv")
    return folder / name if looks_like_file and not Path(name).is_absolute() else name


def _impossible(periods: tuple[Period, ...]) -> str | None:
    """Return why people cannot go through periods one after the other; None where they can."""
    if len(periods) > 1:
        for period in periods:
            for item in period.protocol.co_medications():
                if item.drug in METABOLIC:
                    return f"'{item.drug}' would change kinetics in one period only; leave it out or use one period"
        if sum(period.protocol.practice is not None for period in periods) > 1:
            return "practice between sessions stands in both periods; keep it in one, or use sessions"
    for period in periods:
        if not any(dose.start_h < period.end_h - period.start_h for dose in period.protocol.dose_events()):
            continue
        late = [d for d in period.protocol.dose_events() if d.start_h < period.end_h - period.start_h < d.end_h]
        if late:
            return f"a dose runs over the end of its period at {period.end_h:g} h; move it or the visits"
    return None
