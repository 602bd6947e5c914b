"""``kapsim export``: the equations for other engines, and estimation problems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kapsim.cli.options import NOTE, Ignore, Kinetics, PatientFile, Seed, Variant
from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    from kapsim.exchange.sbml.system import System  # not among the annotations that a command is read from

export_app = typer.Typer(
    name="export",
    help="Write the model for other engines: SBML, Antimony, COMBINE archives, PEtab.",
    no_args_is_help=True,
)

Protocol = Annotated[
    str, typer.Argument(metavar="PROTOCOL", help="Name of a protocol (see `kapsim protocols`) or a YAML file.")
]
Person = Annotated[
    int | None,
    typer.Option("--person", metavar="N", help="Number of a drawn person, from 0; by default the typical person."),
]
DrugOnly = Annotated[bool, typer.Option("--drug-only", help="Doses and concentrations alone, without what they do.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")]


def _command(content: Callable[[System], bytes], text: str) -> Callable[..., None]:
    """Return the command that writes what `content` makes of a system."""

    def export(
        protocol: Protocol,
        out: Out,
        patient: PatientFile = None,
        variant: Variant = "standard",
        kinetics: Kinetics = "default",
        person: Person = None,
        seed: Seed = 0,
        drug_only: DrugOnly = False,
    ) -> None:
        from kapsim.exchange.sbml.exporting import export_system
        from kapsim.files import write_together

        system = export_system(
            protocol, patient, variant=variant, kinetics=kinetics, person=person, seed=seed, drug_only=drug_only
        )
        write_together({out: content(system)})
        typer.echo(f"{len(system.states)} states, {len(system.constants)} constants, {len(system.events)} events")
        typer.echo(f"\n{DISCLAIMER}\n\nfile: {out}")

    export.__doc__ = text
    return export


def _sbml(system: System) -> bytes:
    from kapsim.exchange.sbml.document import sbml_text

    return sbml_text(system).encode("utf-8")


def _antimony(system: System) -> bytes:
    from kapsim.exchange.sbml.document import antimony_text

    return antimony_text(system).encode("utf-8")


def _archive(system: System) -> bytes:
    from kapsim.exchange.sbml.archive import archive_bytes

    return archive_bytes(system)


for _name, _content, _text in (
    ("sbml", _sbml, "Write a protocol for one person as SBML Level 3 Version 2."),
    ("antimony", _antimony, "Write the same in Antimony, which is for reading."),
    ("archive", _archive, "Write a COMBINE archive: SBML, and SED-ML that draws the report's main figure."),
):
    export_app.command(_name, epilog=NOTE)(_command(_content, _text))


@export_app.command(epilog=NOTE)
def petab(
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help="Event table (CSV) with doses and measurements.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write the problem to.")],
    ignore: Ignore = None,
    kinetics: Kinetics = "default",
    estimate: Annotated[
        list[str] | None,
        typer.Option("--estimate", metavar="ID", help="A parameter to estimate; may be repeated; by default all."),
    ] = None,
) -> None:
    """Write measured concentrations and the typical person's kinetics as a PEtab problem."""
    from kapsim.exchange import read_events
    from kapsim.exchange.petab import PROBLEM, petab_files
    from kapsim.files import output_folder, write_together

    contents = petab_files(read_events(events, ignore=ignore or []), kinetics, estimate)
    with output_folder(out) as folder:
        write_together({folder / name: content for name, content in contents.items()})
    typer.echo(f"{DISCLAIMER}\n\nproblem: {out / PROBLEM}")
