"""Options that several commands share, and the words they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kapsim.statements import DISCLAIMER

#: Stands under every help text.
NOTE = DISCLAIMER

#: Where results go unless a folder is named.
RESULTS_FOLDER = Path("kapsim-results")

PatientFile = Annotated[
    Path | None,
    typer.Option("--patient", metavar="FILE", help="Patient file; what it leaves out is drawn from the population."),
]
Variant = Annotated[
    str, typer.Option("--variant", metavar="NAME", help="Setting of the contested links; see `kapsim variants`.")
]
Kinetics = Annotated[
    str, typer.Option("--kinetics", metavar="NAME", help="Kinetics from dose to blood; see `kapsim kinetics`.")
]
Draws = Annotated[int, typer.Option("--draws", metavar="N", help="Number of simulated people.")]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Root of all randomness: one seed, the same people.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of a table; write files only where --out is given.")
]


def shown_path(path: Path | str) -> str:
    """Return a path fit for a record that others will read: nothing of the machine or the person it was made on."""
    given = Path(path)
    return given.name if given.is_absolute() or ".." in given.parts else given.as_posix()
