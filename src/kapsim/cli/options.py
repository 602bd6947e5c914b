"""Options that several commands share, and the words and numbers they print alike."""

from __future__ import annotations

import json as json_format
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    from kapsim.population import Population

#: Stands under every help text.
NOTE = DISCLAIMER

#: Where results go unless a folder is named.
RESULTS_FOLDER = Path("kapsim-results")

PatientFile = Annotated[
    Path | None,
    typer.Option("--patient", metavar="FILE", help="Patient file; what it leaves out is drawn from the population."),
]
WhosePeople = Annotated[
    str | None,
    typer.Option(
        "--population",
        metavar="NAME",
        help="Whose people: see `kapsim populations`; a YAML file of laws, or a CSV of covariates.",
    ),
]
BasedOn = Annotated[
    str | None,
    typer.Option("--based-on", metavar="NAME", help="Population from which what a CSV lacks is drawn [trd_trial]."),
]
OneToOne = Annotated[
    bool, typer.Option("--one-to-one", help="Each row of a CSV is one person, instead of drawn with replacement.")
]
Variant = Annotated[
    str, typer.Option("--variant", metavar="NAME", help="Setting of the contested links; see `kapsim variants`.")
]
Predicted = Annotated[
    str,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="Setting of the contested links, see `kapsim variants`; 'average' spreads people over them by weight.",
    ),
]
Kinetics = Annotated[
    str, typer.Option("--kinetics", metavar="NAME", help="Kinetics from dose to blood; see `kapsim kinetics`.")
]
Draws = Annotated[int, typer.Option("--draws", metavar="N", help="Number of simulated people.")]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Root of all randomness: one seed, the same people.")]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="COLUMN", help="A column of the event table to pass over; may be repeated."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of a table; write files only where --out is given.")
]


def shown_path(path: Path | str) -> str:
    """Return a path fit for a record that others will read: nothing of the machine or the person it was made on."""
    given = Path(path)
    return given.name if given.is_absolute() or ".." in given.parts else given.as_posix()


def with_extensions() -> list[str]:
    """Return the words of a command that name the extensions in use."""
    from kapsim.extensions import extensions

    return [word for item in extensions() for word in ("--with", shown_path(item.path))]


def population_words(population: str | None, based_on: str | None, one_to_one: bool) -> list[str]:
    """Return the words of a command that say whose people they are, without the folders of this machine."""
    words = [] if population is None else ["--population", shown_path(population)]
    words += [] if based_on is None else ["--based-on", shown_path(based_on)]
    return [*words, *(["--one-to-one"] if one_to_one else [])]


def whose_people(population: str | None, based_on: str | None, one_to_one: bool) -> Population | None:
    """Return the population that the options name, None where they name none."""
    if population is None:
        if based_on is not None or one_to_one:
            raise typer.BadParameter("--based-on and --one-to-one go with --population FILE.csv")
        return None
    from kapsim.population import load_population

    return load_population(population, based_on=based_on, one_to_one=one_to_one)


def print_json(content: Mapping[str, Any]) -> None:
    """Print JSON for programs: no number in it is infinite or missing, that is null."""
    typer.echo(json_format.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def number(value: float) -> float | None:
    """Return a number fit for JSON: null where there is none."""
    return float(value) if math.isfinite(value) else None


def check_target(path: Path) -> None:
    """Raise before the work begins where its result could not be written."""
    import os

    from kapsim.errors import InputError

    if path.is_dir():
        raise InputError(f"{path}: there is a folder of that name; give a file")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(
            f"{path}: there is no folder {str(folder)!r}; make it first, or give a file in an existing one"
        )
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: the folder cannot be written to; choose another")
