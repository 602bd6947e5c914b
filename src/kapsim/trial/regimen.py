"""What one person of a trial goes through: the periods of their arm, less what they missed or gave up, and rescue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from kapsim.protocol import CoMedicationEvent, DoseEvent, PracticeLevel, SessionEvent, StressorEvent
from kapsim.protocol.schema import METABOLIC
from kapsim.trial.design import Period, Trial

__all__ = ["Fate", "TrialRegimen", "occasion_starts", "regimen"]

#: What is begun as rescue.
RESCUE_DRUG = "oral_antidepressant"
#: Doses within an hour of each other are one treatment visit.
_ONE_VISIT_H = 1.0
_EPSILON_H = 1e-6


class Fate(NamedTuple):
    """What happened to a person that changes what is done to them.

    Attributes
    ----------
    group : int
        Arm or sequence.
    missed : tuple of int
        Treatment visits missed, counted from 0 over the whole trial.
    stopped_h, rescued_h : float
        When treatment was given up and when rescue began, on the clock of the trial, h; infinite for never.
    """

    group: int
    missed: tuple[int, ...] = ()
    stopped_h: float = math.inf
    rescued_h: float = math.inf


@dataclass(frozen=True)
class TrialRegimen:
    """Dated events on the clock of the trial: what `kapsim.course` lays out.

    Parameters
    ----------
    periods : tuple of Period
    visits : tuple of float
        Ratings after entry, h.
    fate : Fate
    own_medicines : tuple of str
        What some of the people take throughout, of their own; see `kapsim.population.medicines`.
    """

    periods: tuple[Period, ...]
    visits: tuple[float, ...]
    fate: Fate
    own_medicines: tuple[str, ...] = ()

    @property
    def horizon_h(self) -> float:
        """End of the simulated time, h."""
        return self.visits[-1]

    @property
    def masking(self) -> str:
        """What the person is blinded against; of several periods that of the last, see `masking_at`."""
        return self.periods[-1].masking

    def masking_at(self, hour: float) -> str:
        """Return what the person is blinded against at an hour."""
        begun = (period for period in reversed(self.periods) if hour >= period.start_h - _EPSILON_H)
        return next(begun, self.periods[0]).masking

    @property
    def practice(self) -> PracticeLevel | None:
        """Practice between sessions, of the one period that has it."""
        for period in self.periods:
            own = period.protocol.practice
            if own is not None:
                end = min(period.start_h + own.end_h, period.end_h, self.fate.stopped_h)
                start = period.start_h + own.start_h
                return PracticeLevel(own.level, start, end) if end > start else None
        return None

    def dose_events(self) -> tuple[DoseEvent, ...]:
        """Return every dose that the person gets, by start."""
        kept = (
            event
            for number, (events, _) in enumerate(self.occasions())
            if number not in self.fate.missed
            for event in events
        )
        return tuple(event for event in kept if self._goes_on(event.start_h))

    def session_events(self) -> tuple[SessionEvent, ...]:
        """Return every therapy session that the person comes to, by start."""
        kept = [
            event
            for number, (_, sessions) in enumerate(self.occasions())
            if number not in self.fate.missed
            for event in sessions
        ]
        return tuple(sorted((e for e in kept if self._goes_on(e.start_h)), key=lambda event: event.start_h))

    def co_medications(self) -> tuple[CoMedicationEvent, ...]:
        """Return the other medicines, rescue among them."""
        found = []
        for period in self.periods:
            for item in period.protocol.co_medications():
                start, end = period.start_h + item.start_h, min(period.start_h + item.end_h, period.end_h)
                if item.drug in METABOLIC:
                    end = self.horizon_h
                if end > start:
                    found.append(CoMedicationEvent(item.drug, start, end))
        if self.fate.rescued_h < self.horizon_h:
            found.append(CoMedicationEvent(RESCUE_DRUG, self.fate.rescued_h, self.horizon_h))
        found += [CoMedicationEvent(drug, 0.0, self.horizon_h) for drug in self.own_medicines]
        return tuple(found)

    def stressor_events(self) -> tuple[StressorEvent, ...]:
        """Return the stressful times, by start."""
        events = [
            replace(event, start_h=period.start_h + event.start_h)
            for period in self.periods
            for event in period.protocol.stressor_events()
            if event.start_h < period.end_h - period.start_h
        ]
        return tuple(sorted(events, key=lambda event: event.start_h))

    def rating_times(self) -> tuple[float, ...]:
        """Return the visits at which scales are rated, h."""
        return self.visits

    def _goes_on(self, hour: float) -> bool:
        return hour < self.fate.stopped_h - _EPSILON_H

    def occasions(self) -> Iterator[tuple[list[DoseEvent], list[SessionEvent]]]:
        """Yield what belongs to each treatment visit: doses together, sessions with their dose or alone."""
        for period in self.periods:
            length = period.end_h - period.start_h - _EPSILON_H
            doses = [dose for dose in period.protocol.dose_events() if dose.start_h < length]
            sessions = [session for session in period.protocol.session_events() if session.start_h < length]
            for group, own in _visits(doses, sessions):
                yield (
                    [replace(dose, start_h=period.start_h + dose.start_h) for dose in group],
                    [replace(session, start_h=period.start_h + session.start_h) for session in own],
                )


def _visits(
    doses: list[DoseEvent], sessions: list[SessionEvent]
) -> Iterator[tuple[list[DoseEvent], list[SessionEvent]]]:
    groups: list[list[DoseEvent]] = []
    for dose in doses:
        if groups and dose.start_h - groups[-1][0].start_h <= _ONE_VISIT_H:
            groups[-1].append(dose)
        else:
            groups.append([dose])
    starts = [group[0].start_h for group in groups]
    around: list[list[SessionEvent]] = [[] for _ in groups]
    alone: list[SessionEvent] = []
    for session in sessions:
        before = [k for k, start in enumerate(starts) if start <= session.start_h + _EPSILON_H]
        after = [k for k, start in enumerate(starts) if start > session.start_h + _EPSILON_H]
        near = after[:1] if session.place == "preparation" else before[-1:]
        if session.place == "standalone" or not near:
            alone.append(session)
        else:
            around[near[0]].append(session)
    found = [(start, group, own) for start, group, own in zip(starts, groups, around, strict=True)]
    found += [(session.start_h, [], [session]) for session in alone]
    for _, group, own in sorted(found, key=lambda item: item[0]):
        yield group, own


def regimen(trial: Trial, fate: Fate, *, until: float | None = None) -> TrialRegimen:
    """Return what somebody of a fate goes through.

    Parameters
    ----------
    trial : Trial
    fate : Fate
    until : float, optional
        Leave out what comes after this time, h.
    """
    visits = tuple(hour for hour in trial.hours if until is None or hour <= until + _EPSILON_H)
    periods = tuple(period for period in trial.periods(fate.group) if period.start_h < visits[-1] - _EPSILON_H)
    return TrialRegimen(periods, visits, fate)


def occasion_starts(trial: Trial, group: int) -> tuple[float, ...]:
    """Return when the treatment visits of an arm or sequence begin, on the clock of the trial, h."""
    return tuple(
        min([*(dose.start_h for dose in doses), *(session.start_h for session in sessions)])
        for doses, sessions in regimen(trial, Fate(group)).occasions()
    )
