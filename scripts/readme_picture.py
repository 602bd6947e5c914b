"""Draw the picture in the README with a Chromium: `python scripts/readme_picture.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import kapsim
from kapsim.statements import DISCLAIMER

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "kap_six_sessions.png"
PROTOCOL = "kap_six_sessions"
WIDTH, HEIGHT = 1200, 900
SUBTITLE = (
    "Lines: median; bands: the middle 50 % and 90 % of people. "
    f"{DISCLAIMER.partition(':')[0]}; no advice for any person."
)
# The browser must neither wait for nor ask anything of the network.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=8000",
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


def browser() -> str:
    """Return the path of a Chromium."""
    found = subprocess.run([ROOT / "scripts" / "browser.sh"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        page, taken = Path(folder) / "figure.html", Path(folder) / "figure.png"
        page.write_text(
            figure()
            .to_html(include_plotlyjs=True, config={"staticPlot": True}, div_id="figure")
            .replace("<body>", '<body style="margin: 0">'),
            encoding="utf-8",
        )
        command = [
            browser(),
            *QUIET,
            f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={taken}",
            page.as_uri(),
        ]
        subprocess.run(command, capture_output=True, check=True, timeout=120)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.write_bytes(taken.read_bytes())
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
