"""Pictures of Plotly figures, taken by a Chromium that asks nothing of the network."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
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


def browser() -> str:
    """Return the path of a Chromium."""
    found = subprocess.run([ROOT / "scripts" / "browser.sh"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def take(figure: Any, picture: Path, width: int, height: int) -> None:
    """Draw a Plotly figure into a PNG file."""
    with tempfile.TemporaryDirectory() as folder:
        page, taken = Path(folder) / "figure.html", Path(folder) / "figure.png"
        page.write_text(
            figure.to_html(include_plotlyjs=True, config={"staticPlot": True}, div_id="figure").replace(
                "<body>", '<body style="margin: 0">'
            ),
            encoding="utf-8",
        )
        command = [
            browser(),
            *QUIET,
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}",
            f"--screenshot={taken}",
            page.as_uri(),
        ]
        subprocess.run(command, capture_output=True, check=True, timeout=120)
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(taken.read_bytes())
    print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} KB")
