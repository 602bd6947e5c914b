"""Draw the picture in the README with a Chromium: `python scripts/readme_picture.py`."""

from __future__ import annotations

import sys
from typing import Any

from pictures import ROOT, take

import kapsim
from kapsim.statements import DISCLAIMER

PICTURE = ROOT / "docs" / "images" / "kap_six_sessions.png"
PROTOCOL = "kap_six_sessions"
WIDTH, HEIGHT = 1200, 900
SUBTITLE = (
    "Lines: median; bands: the middle 50 % and 90 % of people. "
    f"{DISCLAIMER.partition(':')[0]}; no advice for any person."
)


def figure() -> Any:
    """Return the course of 200 people through six sessions, made fit for a page."""
    dataset = kapsim.simulate(PROTOCOL)
    drawn = kapsim.plot(dataset)
    people, weeks = dataset.sizes["patient"], float(dataset["time"].values[-1]) / 168
    drawn.update_layout(
        width=WIDTH,
        height=HEIGHT,
        title={
            "text": f"Six ketamine-assisted sessions: {people} simulated people over {weeks:g} weeks",
            "font": {"size": 19},
            "subtitle": {"text": SUBTITLE, "font": {"size": 13}},
            "y": 0.97,
        },
        margin={"t": 104, "l": 84, "r": 24, "b": 56},
    )
    # The rows are low: their legends name what is drawn, so the axes need no more than the unit.
    drawn.for_each_yaxis(lambda axis: axis.update(title_text=unit_alone(axis.title.text or "")))
    return drawn


def unit_alone(title: str) -> str:
    """Return the unit from the title of an axis, nothing where it is 1."""
    unit = title.rpartition("(")[2].rstrip(")")
    return "" if unit == "1" else unit


def main() -> int:
    take(figure(), PICTURE, WIDTH, HEIGHT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
