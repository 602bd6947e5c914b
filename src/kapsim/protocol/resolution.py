"""From the shorthands of a protocol to dated events, and the checks that need them side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pydantic_core import PydanticCustomError

from kapsim.file_model import problem
from kapsim.protocol.events import DoseEvent, SessionEvent
from kapsim.protocol.schedule import EPSILON_H, MAX_EVENTS, MAX_TARGETS, distinct_times, hours

if TYPE_CHECKING:
    from kapsim.protocol.schema import Protocol, Relative, Therapy

__all__ = ["check", "default_ratings", "doses", "sessions"]

Event = TypeVar("Event", DoseEvent, SessionEvent)
_LONGEST_H = 5 * 365.25 * 24


def doses(protocol: Protocol) -> list[tuple[int, DoseEvent]]:
    """Return every dose with the index of its item in the file, by start."""
    events: list[tuple[int, DoseEvent]] = []
    for index, dose in enumerate(protocol.doses):
        amount, unit = dose.amount_and_unit
        length = hours(dose.duration, 0.0)
        events += [
            (index, DoseEvent(dose.drug, dose.route, amount, unit, start, length, dose.form))
            for start in dose.times_h()
        ]
    return sorted(events, key=lambda item: (item[1].start_h, item[0]))


def sessions(protocol: Protocol) -> list[tuple[int, SessionEvent]]:
    """Return every session with the index of its item in the file, by start."""
    # Two drugs given at one time are one occasion for therapy.
    starts = sorted({event.start_h for _, event in doses(protocol)})
    events: list[tuple[int, SessionEvent]] = []
    for index, item in enumerate(protocol.therapy):
        events += [(index, event) for event in _sessions_of(item, starts)]
    return sorted(events, key=lambda pair: (pair[1].start_h, pair[0]))


def _sessions_of(item: Therapy, starts: list[float]) -> Iterator[SessionEvent]:
    length = item.duration.to("h")
    if item.relative is None:
        for start in item.times_h():
            yield SessionEvent(item.kind, start, length, "standalone")
        return
    sign = -1.0 if item.relative.place == "preparation" else 1.0
    for start in _occasions(item.relative, starts):
        yield SessionEvent(item.kind, start + sign * item.relative.offset.to("h"), length, item.relative.place)


def _occasions(relative: Relative, starts: list[float]) -> list[float]:
    return starts[:1] if relative.doses == "first" else starts


def default_ratings(protocol: Protocol) -> tuple[float, ...]:
    """Return 24 h after the first dose, each week from the first dose, and the horizon, h."""
    horizon = protocol.horizon_h
    first = min((event.start_h for _, event in doses(protocol)), default=0.0)
    weeks = range(1, int((horizon - first) // 168) + 1)
    times = [time for time in (first + 24, *(first + 168 * week for week in weeks)) if time < horizon - EPSILON_H]
    return (*times, horizon)


def check(protocol: Protocol) -> None:
    """Raise the first problem that shows only when the parts of a protocol stand side by side."""
    horizon = protocol.horizon_h
    if horizon > _LONGEST_H + EPSILON_H:
        raise problem(f"'{protocol.horizon}' is over 5 years; shorten it", "horizon")
    _check_doses(protocol, horizon)
    _check_sessions(protocol, horizon)
    _check_spans(protocol, horizon)
    for index, stressor in enumerate(protocol.stressors):
        if stressor.at.to("h") + stressor.duration.to("h") > horizon + EPSILON_H:
            raise _beyond(
                "the stressor ends", stressor.at.to("h") + stressor.duration.to("h"), protocol, "stressors", index, "at"
            )
    if protocol.ratings is not None:
        distinct_times(protocol.ratings, "ratings")
        if len(protocol.ratings) > MAX_EVENTS:
            raise problem(f"there are over {MAX_EVENTS} ratings; give fewer", "ratings")
        for index, time in enumerate(protocol.ratings):
            if time.to("h") > horizon + EPSILON_H:
                raise _beyond("the rating is", time.to("h"), protocol, "ratings", index)


def _beyond(what: str, time_h: float, protocol: Protocol, *at: str | int) -> PydanticCustomError:
    return problem(
        f"{what} at {time_h:g} h, beyond the horizon of {protocol.horizon}; move it or lengthen 'horizon'", *at
    )


def _check_doses(protocol: Protocol, horizon: float) -> None:
    events = doses(protocol)
    if len(events) > MAX_EVENTS:
        raise problem(f"there are over {MAX_EVENTS} doses; give fewer", "doses")
    if sum(event.is_target for _, event in events) > MAX_TARGETS:
        raise problem(f"there are over {MAX_TARGETS} target-controlled infusions; give fewer", "doses")
    for index, event in events:
        if event.end_h > horizon + EPSILON_H or event.start_h > horizon - EPSILON_H:
            raise _beyond("a dose ends", event.end_h, protocol, "doses", index, protocol.doses[index].end_key)
    infusions = [(index, event) for index, event in events if event.duration_h > 0]
    for (first, a), (second, b) in _overlaps(infusions):
        later = max(first, second)
        raise problem(
            f"the infusion at {b.start_h:g} h starts before the one at {a.start_h:g} h has ended ({a.end_h:g} h); "
            "move one of them",
            "doses",
            later,
            protocol.doses[later].way,
        )


def _check_sessions(protocol: Protocol, horizon: float) -> None:
    for index, item in enumerate(protocol.therapy):
        if item.relative is not None and not protocol.doses:
            raise problem(
                "there are no doses to place sessions around; give 'at', 'every' or 'weekdays'",
                "therapy",
                index,
                "relative",
            )
    events = sessions(protocol)
    if len(events) > MAX_EVENTS:
        raise problem(f"there are over {MAX_EVENTS} sessions; give fewer", "therapy")
    for index, event in events:
        item = protocol.therapy[index]
        if event.start_h < -EPSILON_H and item.relative is not None:
            raise problem(
                f"a preparation session would start {-event.start_h:g} h before time 0; move the first dose to "
                f"{item.relative.offset} or later",
                "therapy",
                index,
                "relative",
                "offset",
            )
        if event.end_h > horizon + EPSILON_H:
            raise _beyond("a session ends", event.end_h, protocol, "therapy", index, item.end_key)
    for (first, a), (second, b) in _overlaps(events):
        later = max(first, second)
        raise problem(
            f"the session at {b.start_h:g} h starts before the one at {a.start_h:g} h has ended ({a.end_h:g} h); "
            "move one of them",
            "therapy",
            later,
            protocol.therapy[later].way,
        )


def _overlaps(events: Iterable[tuple[int, Event]]) -> Iterator[tuple[tuple[int, Event], tuple[int, Event]]]:
    """Yield pairs of events, sorted by start, of which the second starts before the first has ended."""
    running: tuple[int, Event] | None = None
    for item in events:
        if running is not None and item[1].start_h < running[1].end_h - EPSILON_H:
            yield running, item
        if running is None or item[1].end_h > running[1].end_h:
            running = item


def _check_spans(protocol: Protocol, horizon: float) -> None:
    from kapsim.protocol.schema import METABOLIC

    if (practice := protocol.practice) is not None:
        _check_span(protocol, practice.start_h, practice.end_h, "practice")
    seen: dict[str, list[tuple[float, float]]] = {}
    for index, event in enumerate(protocol.co_medications()):
        _check_span(protocol, event.start_h, event.end_h, "co_medication", index)
        if event.drug in METABOLIC and (event.start_h > EPSILON_H or event.end_h < horizon - EPSILON_H):
            key = "from" if event.start_h > EPSILON_H else "until"
            raise problem(
                f"'{event.drug}' changes how ketamine is cleared and must span the whole horizon; "
                "leave out 'from' and 'until'",
                "co_medication",
                index,
                key,
            )
        for start, end in seen.setdefault(event.drug, []):
            if event.start_h < end - EPSILON_H and start < event.end_h - EPSILON_H:
                raise problem(
                    f"'{event.drug}' stands twice at the same time; join the two", "co_medication", index, "drug"
                )
        seen[event.drug].append((event.start_h, event.end_h))


def _check_span(protocol: Protocol, start_h: float, end_h: float, *at: str | int) -> None:
    if end_h > protocol.horizon_h + EPSILON_H:
        raise _beyond("it ends", end_h, protocol, *at, "until")
    if start_h >= end_h - EPSILON_H:
        raise problem(
            f"it would start at {start_h:g} h and end at {end_h:g} h; give an end after the start", *at, "from"
        )
