"""When: the three ways to give times in a file, as hours.

``at`` lists times; ``every``/``from``/``until`` repeats up to and including the end; ``weekdays``/``weeks``/``from``
names days of the calendar, where day 0 is a Monday.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kapsim.file_model import Duration, FileModel, Quantity, Time, Times, problem

__all__ = ["EPSILON_H", "MAX_EVENTS", "MAX_TARGETS", "Scheduled", "hours"]

MAX_EVENTS = 4000
"""Most events of one kind in a protocol: twice a day for five years."""

MAX_TARGETS = 200
"""Most target-controlled infusions in a protocol: each is made of some twenty to a hundred steps."""

EPSILON_H = 1e-9
"""Times closer than this are one time (rounding of unit conversion)."""

_DAY_H, _WEEK_H = 24.0, 168.0
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_COMPANIONS = {"from": ("every", "weekdays"), "until": ("every",), "weeks": ("weekdays",)}


def hours(time: Quantity | None, default: float) -> float:
    """Return a time in hours, `default` where none is given."""
    return default if time is None else time.to("h")


class Scheduled(FileModel):
    """Anything that happens at times; subclasses say what happens."""

    ways: ClassVar[tuple[str, ...]] = ("at", "every", "weekdays")

    at: Times | None = None
    every: Duration | None = None
    from_: Time | None = Field(None, alias="from")
    until: Time | None = None
    weekdays: Annotated[tuple[Weekday, ...], Field(strict=False, min_length=1)] | None = None
    weeks: Annotated[int, Field(ge=1, le=261)] | None = None

    @model_serializer(mode="wrap")
    def _schedule_last(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # People name the thing first and its times last.
        data: dict[str, Any] = handler(self)
        return {key: data[key] for key in sorted(data, key=lambda k: k in Scheduled.model_fields or k == "from")}

    @model_validator(mode="after")
    def _one_way(self) -> Scheduled:
        given = [way for way in self.ways if getattr(self, way) is not None]
        choices = ", ".join(f"'{way}'" for way in self.ways)
        if not given:
            raise problem(f"has no time; give one of {choices}")
        if len(given) > 1:
            raise problem(f"'{given[1]}' cannot stand beside '{given[0]}'; give only one of {choices}", given[1])
        for key, partners in _COMPANIONS.items():
            value = self.from_ if key == "from" else getattr(self, key)
            if value is not None and given[0] not in partners:
                raise problem(f"goes with {' or '.join(map(repr, partners))}, not with '{given[0]}'; remove it", key)
        for key in ("until", "weeks"):
            if given[0] in _COMPANIONS[key] and getattr(self, key) is None:
                raise problem(f"'{given[0]}' needs '{key}'; add '{key}: {'5 wk' if key == 'until' else 2}'", given[0])
        if given[0] in Scheduled.ways:
            self.times_h()
        return self

    @property
    def way(self) -> str:
        """The key that gives the times."""
        return next(way for way in self.ways if getattr(self, way) is not None)

    @property
    def end_key(self) -> str:
        """The key to change where something happens too late."""
        return {"every": "until", "weekdays": "weeks"}.get(self.way, self.way)

    def times_h(self) -> tuple[float, ...]:
        """Return the times in hours, ascending; a schedule relative to doses has none of its own."""
        if self.at is not None:
            return distinct_times(self.at, "at")
        if self.every is not None:
            return self._repeats(self.every.to("h"))
        if self.weekdays is not None:
            return self._calendar(self.weekdays, self.weeks or 1)
        return ()

    def _repeats(self, step: float) -> tuple[float, ...]:
        first, last = hours(self.from_, 0.0), hours(self.until, 0.0)
        if last < first - EPSILON_H:
            raise problem(f"'{self.until}' is before 'from' ({self.from_}); give a later end", "until")
        # A share of the step, so that an inclusive end survives rounding.
        count = (last - first) / step + 1e-6
        if count >= MAX_EVENTS:
            raise problem(f"repeats over {MAX_EVENTS} times; lengthen 'every' or shorten 'until'", "every")
        return tuple(min(first + k * step, max(first, last)) for k in range(math.floor(count) + 1))

    def _calendar(self, weekdays: tuple[str, ...], weeks: int) -> tuple[float, ...]:
        for index, day in enumerate(weekdays):
            if day in weekdays[:index]:
                raise problem(f"'{day}' stands twice; keep one", "weekdays", index)
        start = hours(self.from_, 0.0)
        first_day = math.floor(start / _DAY_H + EPSILON_H)
        clock = max(0.0, start - first_day * _DAY_H)
        days = sorted((_WEEKDAYS.index(day) - first_day) % 7 for day in weekdays)
        return tuple(
            first_day * _DAY_H + week * _WEEK_H + day * _DAY_H + clock for week in range(weeks) for day in days
        )


def distinct_times(times: tuple[Quantity, ...], key: str) -> tuple[float, ...]:
    """Return times in hours, ascending; a time that stands twice is an error at `key`."""
    seen: dict[float, Quantity] = {}
    for index, time in enumerate(times):
        hour = round(time.to("h"), 9)
        if hour in seen:
            raise problem(f"'{time}' stands twice (also as '{seen[hour]}'); keep one", key, index)
        seen[hour] = time
    return tuple(sorted(time.to("h") for time in times))
