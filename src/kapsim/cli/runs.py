"""``kapsim run`` and ``kapsim demo``: one protocol, its results and its report."""

from __future__ import annotations

import json as json_format
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import (
    RESULTS_FOLDER,
    BasedOn,
    Draws,
    Ignore,
    Json,
    Kinetics,
    OneToOne,
    PatientFile,
    Predicted,
    Seed,
    WhosePeople,
    population_words,
    print_json,
    shown_path,
    whose_people,
    with_extensions,
)
from kapsim.cli.progress import SIMULATION_STAGES, stages
from kapsim.cli.tables import run_events

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from kapsim.outcomes import Endpoint
    from kapsim.patient import Patient
    from kapsim.population import Population
    from kapsim.protocol import Protocol

REPORT_NAME = "report.html"
_DEMO_PROTOCOL = "kap_six_sessions"
_DEMO_DRAWS = 200
_PROVENANCE = ("kapsim_version", "evidence_version", "evidence_hash", "protocol_name", "variant", "kinetics", "command")


def run(
    protocol: Annotated[
        str | None,
        typer.Argument(metavar="PROTOCOL", help="Name of a protocol (see `kapsim protocols`) or a YAML file."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            "--events", metavar="FILE", help="Instead of a protocol: an event table (CSV), for concentrations alone."
        ),
    ] = None,
    ignore: Ignore = None,
    patient: PatientFile = None,
    population: WhosePeople = None,
    based_on: BasedOn = None,
    one_to_one: OneToOne = False,
    variant: Predicted = "average",
    kinetics: Kinetics = "default",
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="N",
            help="Number of simulated people [200; one to one, all rows]; of a table, draws of each ID [1].",
        ),
    ] = None,
    seed: Seed = 0,
    rating_error: Annotated[
        bool,
        typer.Option(
            "--rating-error",
            help="Rate people as a trial does, with the error of ratings and entry by a rating; endpoints count these.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for what is written [kapsim-results/PROTOCOL, and what else was chosen].",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Simulate a protocol and write results and report, or an event table and write concentrations."""
    if (protocol is None) == (events is None):
        raise typer.BadParameter("give a protocol, or an event table with --events FILE")
    if events is not None:
        if patient is not None or variant != "average":
            raise typer.BadParameter("--patient and --variant go with a protocol; an event table holds its people")
        if rating_error:
            raise typer.BadParameter("--rating-error goes with a protocol; an event table has no ratings")
        if population is not None or based_on is not None or one_to_one:
            raise typer.BadParameter("--population goes with a protocol; an event table holds its people")
        run_events(events, ignore or [], kinetics, 1 if draws is None else draws, seed, out, as_json=json)
        return
    assert protocol is not None
    if ignore:
        raise typer.BadParameter("--ignore goes with --events FILE")
    whose = whose_people(population, based_on, one_to_one)
    if draws is None:
        draws = whose.table.rows if whose is not None and whose.one_to_one and whose.table is not None else 200
    words = ["run", shown_path(protocol), *population_words(population, based_on, one_to_one)]
    words += ["--rating-error"] if rating_error else []
    command = command_line(words, patient, variant, kinetics, draws, seed)
    _run(
        protocol,
        patient,
        variant,
        kinetics,
        draws,
        seed,
        command,
        out=out,
        as_json=json,
        population=whose,
        rating_error=rating_error,
    )


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for results.nc and report.html.")] = Path(
        "demo"
    ),
    draws: Draws = _DEMO_DRAWS,
) -> None:
    """Simulate six KAP sessions and leave a report to look at."""
    command = command_line(["run", _DEMO_PROTOCOL], None, "standard", "default", draws, 0)
    _run(_DEMO_PROTOCOL, None, "standard", "default", draws, 0, command, out=out, as_json=False)
    typer.echo("next: kapsim serve to see it move, kapsim protocols for others, docs/first_course.md to learn more")


def command_line(words: list[str], patient: Path | None, variant: str, kinetics: str, draws: int, seed: int) -> str:
    """Return the command that gives the same results again, without the folders of this machine."""
    more = [] if patient is None else ["--patient", shown_path(patient)]
    more += ["--variant", variant, *([] if kinetics == "default" else ["--kinetics", kinetics])]
    return shlex.join(["kapsim", *with_extensions(), *words, *more, "--draws", str(draws), "--seed", str(seed)])


def _run(
    name_or_path: str,
    patient: Path | None,
    variant: str,
    kinetics: str,
    draws: int,
    seed: int,
    command: str,
    *,
    out: Path | None,
    as_json: bool,
    population: Population | None = None,
    rating_error: bool = False,
) -> None:
    from kapsim.protocol import load_protocol

    protocol = load_protocol(name_or_path)
    if as_json and out is None:
        with stages(SIMULATION_STAGES) as begin:
            dataset = simulated(
                protocol,
                patient,
                variant,
                kinetics,
                draws,
                seed,
                command,
                begin,
                population=population,
                rating_error=rating_error,
            )
        _print_json(dataset, {})
        return

    from kapsim.files import output_folder, write_together
    from kapsim.store import RESULTS_NAME, results_bytes

    folder = RESULTS_FOLDER / _called(protocol.name, patient, population, variant, kinetics, rating_error)
    folder = folder if out is None else out
    results, report = folder / RESULTS_NAME, folder / REPORT_NAME
    with output_folder(folder), stages(SIMULATION_STAGES + 2) as begin:
        dataset = simulated(
            protocol,
            patient,
            variant,
            kinetics,
            draws,
            seed,
            command,
            begin,
            population=population,
            rating_error=rating_error,
        )
        begin("making the report")
        page = report_page(dataset)
        begin("writing the files")
        write_together({results: results_bytes(dataset), report: page.encode("utf-8")})
    if as_json:
        _print_json(dataset, {"results": results.as_posix(), "report": report.as_posix()})
        return
    _print_summary(dataset)
    typer.echo(f"\nreport:  {report}\nresults: {results}")


def _called(
    protocol: str, patient: Path | None, population: Population | None, variant: str, kinetics: str, rating_error: bool
) -> str:
    """Return the name of a run's folder: the protocol, and whatever else was chosen, so that no run takes another's."""
    parts = [protocol]
    parts += [] if population is None else [Path(population.source).stem]
    parts += [] if patient is None else [patient.stem]
    parts += [] if variant == "average" else [variant]
    parts += [] if kinetics == "default" else [kinetics]
    parts += ["rated"] if rating_error else []
    return "-".join(parts)


def simulated(
    protocol: Protocol,
    patient: Patient | Path | None,
    variant: str,
    kinetics: str,
    draws: int,
    seed: int,
    command: str,
    begin: Callable[[str], None],
    *,
    population: Population | None = None,
    rating_error: bool = False,
) -> xr.Dataset:
    """Simulate, and record in the results which command it was."""
    from kapsim.simulation import simulate

    dataset = simulate(
        protocol,
        patient,
        population=population,
        variant=variant,
        kinetics=kinetics,
        draws=draws,
        seed=seed,
        rating_error=rating_error,
        progress=begin,
    )
    return dataset.assign_attrs(command=command)


def report_page(dataset: xr.Dataset) -> str:
    """Return the report of a run as a page."""
    from kapsim.outcomes import endpoints
    from kapsim.report.html import report_html

    return report_html(dataset, endpoints=endpoints(dataset))


def output(pipe_width: int = 120) -> Console:
    """Return the console of standard output; into a pipe or a file, lines are as wide as the table needs."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=pipe_width)


def _print_summary(dataset: xr.Dataset) -> None:
    from kapsim.outcomes import endpoints
    from kapsim.report.summary import print_summary

    print_summary(dataset, endpoints(dataset), console=output())


def account(dataset: xr.Dataset) -> dict[str, Any]:
    """Return a run as plain data: what it was, and each endpoint over its people."""
    from kapsim.outcomes import endpoints

    return {
        "provenance": {
            **{name: str(dataset.attrs[name]) for name in _PROVENANCE},
            "seed": int(dataset.attrs["seed"]),
            "draws": int(dataset.attrs["draws"]),
            **_whose(dataset),
        },
        "endpoints": {name: _endpoint(endpoint) for name, endpoint in endpoints(dataset).items()},
        "applicability": json_format.loads(dataset.attrs["applicability"]),
    }


def _whose(dataset: xr.Dataset) -> dict[str, Any]:
    """Return what tells the population of a run from others; nothing where none was named."""
    about = dataset.attrs.get("population")
    return {} if about is None else {"population": json_format.loads(about)}


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    import numpy as np

    from kapsim.outcomes import summarise

    known = endpoint.values[np.isfinite(endpoint.values)]
    return {
        **summarise(endpoint.values),
        # Of a yes-or-no endpoint this is the share of people.
        "mean": float(known.mean()) if len(known) else None,
        "n": len(known),
        "unit": endpoint.unit,
        "long_name": endpoint.long_name,
    }


def _print_json(dataset: xr.Dataset, files: Mapping[str, str]) -> None:
    from kapsim.statements import DISCLAIMER

    print_json({"disclaimer": DISCLAIMER, **account(dataset), "files": dict(files)})
