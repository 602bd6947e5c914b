"""The commands put together, and what a person sees when something goes wrong: one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kapsim.cli import (
    brain,
    calibrating,
    checking,
    comparing,
    doctor,
    explaining,
    exporting,
    listings,
    populations,
    runs,
    serving,
    tables,
    trials,
    validating,
)
from kapsim.cli.options import NOTE
from kapsim.errors import KapsimError
from kapsim.evidence import cli as evidence_cli

app = typer.Typer(
    name="kapsim",
    help="Simulate ketamine-assisted psychotherapy from dose to mood.",
    epilog=NOTE,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog=NOTE)(runs.run)
app.command(epilog=NOTE)(comparing.compare)
app.command(epilog=NOTE)(explaining.explain)
app.command(epilog=NOTE)(runs.demo)
app.command(epilog=NOTE)(tables.events)
app.add_typer(exporting.export_app, epilog=NOTE)
app.command(epilog=NOTE)(brain.brain)
app.command(epilog=NOTE)(trials.trial)
app.command(epilog=NOTE)(trials.power)
app.command(epilog=NOTE)(checking.check)
app.command(epilog=NOTE)(serving.serve)
app.command(epilog=NOTE)(validating.validate)
app.command(epilog=NOTE)(calibrating.calibrate)
app.add_typer(listings.protocols_app, epilog=NOTE)
app.command(epilog=NOTE)(populations.populations)
app.command(epilog=NOTE)(listings.variants)
app.command(epilog=NOTE)(listings.kinetics)
app.add_typer(evidence_cli.app, epilog=NOTE)
app.command(epilog=NOTE)(listings.equations)
app.command(epilog=NOTE)(listings.cite)
app.command(epilog=NOTE)(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from kapsim._version import __version__
        from kapsim.evidence import evidence_version

        typer.echo(f"kapsim {__version__}, evidence {evidence_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and that of the evidence."),
    ] = False,
    extended: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="FILE.py", help="An extension: links, kinetics or variants; may be repeated."),
    ] = None,
) -> None:
    """Simulate ketamine-assisted psychotherapy from dose to mood."""
    if extended:
        from kapsim.extensions import use

        use(*extended)
        from kapsim.model import added_links

        # what is wrong with a link is told before anything else is done
        added_links()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 where a simulation failed, 2 where something given cannot be used, 130 where interrupted.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if _behind_a_command(given):
        return _fail("--with goes before the command: kapsim --with FILE.py run PROTOCOL", 2)
    try:
        app(given, prog_name="kapsim")
        sys.stdout.flush()
    except SystemExit as leaving:
        return _after(leaving)
    except KapsimError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        return _fail("not enough memory; use fewer draws", 1)
    except BrokenPipeError:
        return _closed()
    except OSError as error:
        return _fail(_system(error), 2)
    return 0


def _behind_a_command(given: Sequence[str]) -> bool:
    """Say whether an extension is named where no command knows the option."""
    place = 0
    while place < len(given) and given[place].startswith("-"):
        place += 2 if given[place] == "--with" else 1
    return any(word == "--with" or word.startswith("--with=") for word in given[place:])


def _after(leaving: SystemExit) -> int:
    """Return the status that the commands left with, once what they printed has gone out."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed()
    except OSError as error:
        _silence()
        return _fail(_system(error), 2)
    return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)


def _system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{(error.strerror or str(error)).lower()}; check space and permissions"


def _fail(message: str, status: int) -> int:
    # A name with a line break in it must not make two lines.
    line = " ".join(message.split())
    print(f"kapsim: error: {line}", file=sys.stderr)
    return status


def _closed() -> int:
    """Leave quietly where the reader has gone, as after `| head`."""
    _silence()
    return 1


def _silence() -> None:
    # Python flushes standard output once more on its way out, and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
