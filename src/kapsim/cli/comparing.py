"""``kapsim compare``: the same people under different treatment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import (
    RESULTS_FOLDER,
    BasedOn,
    Draws,
    Json,
    Kinetics,
    OneToOne,
    PatientFile,
    Predicted,
    Seed,
    WhosePeople,
    number,
    population_words,
    print_json,
    shown_path,
    whose_people,
)
from kapsim.cli.progress import SIMULATION_STAGES, stages
from kapsim.cli.runs import account, command_line, output, simulated

if TYPE_CHECKING:
    from rich.table import Table

    from kapsim.population import Population
    from kapsim.protocol import Protocol
    from kapsim.report.compare import Comparison

COMPARISON_NAME = "comparison.html"
_MEASURES = ("mean", "mean_low", "mean_high", "low", "high")


@dataclass(frozen=True)
class Arm:
    """One run of a comparison.

    Parameters
    ----------
    label : str
        Its name in tables and figures.
    source : str
        Name or file that it was given as.
    protocol : Protocol
        What is done.
    variant : str
        Setting of the contested links.
    """

    label: str
    source: str
    protocol: Protocol
    variant: str


def compare(
    arms: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...", help="Names of protocols or YAML files, the reference first; NAME@VARIANT sets a variant."
        ),
    ],
    patient: PatientFile = None,
    population: WhosePeople = None,
    based_on: BasedOn = None,
    one_to_one: OneToOne = False,
    variant: Predicted = "average",
    kinetics: Kinetics = "default",
    draws: Draws = 200,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for comparison.html [kapsim-results/comparison]."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare protocols on the same people with the first."""
    chosen = _arms(arms, variant, kinetics)
    whose = whose_people(population, based_on, one_to_one)
    words = population_words(population, based_on, one_to_one)
    if json and out is None:
        with stages(SIMULATION_STAGES * len(chosen)) as begin:
            accounts, comparison = _simulate(chosen, patient, whose, words, kinetics, draws, seed, begin)
        _print_json(accounts, comparison, {})
        return

    from kapsim.files import output_folder, write_together
    from kapsim.report.comparison_page import comparison_html

    folder = RESULTS_FOLDER / "comparison" if out is None else out
    page = folder / COMPARISON_NAME
    with output_folder(folder), stages(SIMULATION_STAGES * len(chosen) + 1) as begin:
        accounts, comparison = _simulate(chosen, patient, whose, words, kinetics, draws, seed, begin)
        begin("writing the comparison")
        write_together({page: comparison_html(comparison).encode("utf-8")})
    if json:
        _print_json(accounts, comparison, {"comparison": page.as_posix()})
        return
    from kapsim.statements import DISCLAIMER

    # A name of an endpoint, then two columns a run.
    console = output(pipe_width=80 + 48 * (len(chosen) - 1))
    console.print(_table(comparison))
    console.print(DISCLAIMER, style="dim", highlight=False)
    typer.echo(f"\ncomparison: {page}")


def _arms(names: list[str], variant: str, kinetics: str) -> list[Arm]:
    """Return what to run, everything checked before the first run begins."""
    from kapsim.averaging import check_variant
    from kapsim.errors import InputError
    from kapsim.kinetic_sets import check_protocol
    from kapsim.protocol import load_protocol

    if len(names) < 2:
        raise InputError(f"compare: only {names[0]!r} is given; give two protocols or more")
    found: dict[str, Arm] = {}
    for name in names:
        what, at, own = name.rpartition("@")
        # A file may have the sign in its name.
        if not at or Path(name).exists():
            what, own = name, variant
        check_variant(own)
        protocol = load_protocol(what)
        check_protocol(kinetics, protocol)
        label = protocol.name if own == variant else f"{protocol.name}@{own}"
        if label in found:
            raise InputError(f"compare: {label!r} is given twice; give each protocol and variant once")
        found[label] = Arm(label, shown_path(what), protocol, own)
    return list(found.values())


def _simulate(
    arms: list[Arm],
    patient: Path | None,
    population: Population | None,
    words: list[str],
    kinetics: str,
    draws: int,
    seed: int,
    begin: Callable[[str], None],
) -> tuple[dict[str, Any], Comparison]:
    from kapsim.patient import load_patient
    from kapsim.report.compare import compare as compare_runs

    who = None if patient is None else load_patient(patient)
    datasets = {}
    for arm in arms:
        command = command_line(["run", arm.source, *words], patient, arm.variant, kinetics, draws, seed)

        def say(text: str, label: str = arm.label) -> None:
            begin(f"{label}: {text}")

        datasets[arm.label] = simulated(
            arm.protocol, who, arm.variant, kinetics, draws, seed, command, say, population=population
        )
    return {label: account(dataset) for label, dataset in datasets.items()}, compare_runs(datasets)


def _print_json(accounts: dict[str, Any], comparison: Comparison, files: dict[str, str]) -> None:
    from kapsim.statements import DISCLAIMER

    differences = [
        {**asdict(item), **{name: number(getattr(item, name)) for name in _MEASURES}} for item in comparison.differences
    ]
    print_json(
        {
            "disclaimer": DISCLAIMER,
            "reference": comparison.reference,
            "runs": accounts,
            "differences": differences,
            "files": files,
        }
    )


def _table(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from kapsim.report.comparison_page import difference_row
    from kapsim.report.summary import shown_unit, value_text

    table = Table(
        title=escape(f"median or share of each run, and mean difference to {comparison.reference}"),
        caption="difference: mean over people with its 95 % interval; of shares, in percentage points",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("endpoint")
    table.add_column(escape(comparison.reference), justify="right")
    for name in comparison.names[1:]:
        table.add_column(escape(name), justify="right")
        table.add_column("difference", justify="right")
    table.add_column("unit")
    by_key = {(item.endpoint, item.arm): difference_row(item) for item in comparison.differences}
    for key, row in comparison.summaries[comparison.reference].items():
        cells = [value_text(row)]
        for name in comparison.names[1:]:
            own, gap = comparison.summaries[name].get(key), by_key.get((key, name))
            cells.append("–" if own is None else value_text(own))
            cells.append("–" if gap is None or not int(gap["count"]) else f"{gap['mean']} ({gap['interval']})")
        table.add_row(escape(row.long_name), *cells, escape(shown_unit(row)))
    return table
