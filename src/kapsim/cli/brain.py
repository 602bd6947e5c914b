"""``kapsim brain``: the cortex at full size, the same people under placebo and drug."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kapsim.cli.options import (
    RESULTS_FOLDER,
    Json,
    Kinetics,
    PatientFile,
    Seed,
    Variant,
    number,
    print_json,
    shown_path,
)
from kapsim.cli.progress import stages
from kapsim.cli.runs import output

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

    from kapsim.brain import Connectome

RESULTS, REPORT, BIDS = "brain.nc", "brain.html", "bids"


def brain(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="Name of a protocol (see `kapsim protocols`) or a YAML file.")
    ],
    at: Annotated[
        str, typer.Option("--at", metavar="TIMES", help="When to scan, from the start of the protocol: 0.67h,24h.")
    ] = "0.67h,24h",
    connectome: Annotated[
        str,
        typer.Option("--connectome", metavar="NAME|FOLDER|ZIP", help="A shipped connectome, or one's own from files."),
    ] = "dk68",
    patient: PatientFile = None,
    variant: Variant = "standard",
    kinetics: Kinetics = "default",
    subjects: Annotated[int, typer.Option("--subjects", metavar="N", help="People, each under placebo and drug.")] = 4,
    minutes: Annotated[float, typer.Option("--minutes", metavar="M", help="Length of a scan, minutes.")] = 8.0,
    tr: Annotated[float, typer.Option("--tr", metavar="S", help="Repetition time, s.")] = 2.0,
    seed: Seed = 0,
    global_signal_regression: Annotated[
        bool, typer.Option("--global-signal-regression", help="Take the global signal out of every scan.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for what is written [kapsim-results/PROTOCOL-brain]."),
    ] = None,
    json: Json = False,
) -> None:
    """Simulate brain scans under placebo and drug: BOLD, connectivity and the default mode network."""
    from kapsim.brain_study import Scan, check_study
    from kapsim.patient import load_patient
    from kapsim.protocol import load_protocol

    hours = parse_hours(at)
    plan = load_protocol(protocol)
    check_study(plan, hours)
    who = None if patient is None else load_patient(patient)
    cortex = read_connectome(connectome)
    scan = Scan(minutes=minutes, repetition_s=tr, global_signal=not global_signal_regression)
    words = ["kapsim", "brain", shown_path(protocol), "--at", at, "--connectome", shown_path(connectome)]
    words += [] if patient is None else ["--patient", shown_path(patient)]
    words += ["--variant", variant, "--kinetics", kinetics, "--subjects", str(subjects), "--minutes", f"{minutes:g}"]
    words += ["--tr", f"{tr:g}", "--seed", str(seed)]
    words += ["--global-signal-regression"] if global_signal_regression else []

    def study() -> xr.Dataset:
        from kapsim.brain_study import run_study, study_states

        with stages(4) as begin:
            begin("running the chain")
            _, states = study_states(
                plan, hours, patient=who, subjects=subjects, seed=seed, variant=variant, kinetics=kinetics
            )
            found = run_study(states, cortex, scan, seed=seed, progress=begin)
        return found.assign_attrs(
            protocol_name=plan.name,
            protocol=plan.to_yaml(),
            variant=variant,
            kinetics=kinetics,
            seed=str(seed),
            draws=str(subjects),
            command=shlex.join(words),
        )

    if json and out is None:
        _print_json(study(), {})
        return
    from kapsim.exchange.bids import write_bids
    from kapsim.files import output_folder, write_together
    from kapsim.report.brain_page import brain_html
    from kapsim.store import results_bytes

    folder = RESULTS_FOLDER / f"{plan.name}-brain" if out is None else out
    with output_folder(folder):
        found = study()
        page = brain_html(found).encode("utf-8")
        write_bids(found, folder / BIDS)
        write_together({folder / RESULTS: results_bytes(found), folder / REPORT: page})
    files = {name: (folder / name).as_posix() for name in (RESULTS, REPORT, BIDS)}
    if json:
        _print_json(found, files)
        return
    _print(found)
    typer.echo("\n" + "\n".join(f"written: {path}" for path in files.values()))


def parse_hours(text: str) -> list[float]:
    """Return the hours of ``0.67h,24h``, rising, each once; an `InputError` says which part is no time."""
    from kapsim.errors import InputError
    from kapsim.units import parse_as

    hours = set()
    for part in text.split(","):
        try:
            hour = parse_as(part.strip(), "h")
        except InputError as error:
            raise InputError(f"--at {part.strip()!r}: {error}; give times such as 0.67h,24h") from None
        if not 0.0 <= hour < float("inf"):
            raise InputError(f"--at {part.strip()!r}: is before the start; give times such as 0.67h,24h")
        hours.add(hour)
    return sorted(hours)


def read_connectome(name: str) -> Connectome:
    """Return a shipped connectome by name, or one from files; an `InputError` gives the nearest name."""
    from kapsim.brain import ATLASES, load_atlas, load_connectome

    if name in ATLASES or not Path(name).exists():
        return load_atlas(name)
    return load_connectome(name)


def _print_json(study: xr.Dataset, files: dict[str, str]) -> None:
    from kapsim.brain_study import LIMITS, measure_rows, sign_sentence, warnings_of
    from kapsim.statements import DISCLAIMER

    hours = [
        {
            "hour": float(hour),
            "measures": [
                {key: number(value) if isinstance(value, float) else value for key, value in row.items()}
                for row in measure_rows(study, k)
            ],
        }
        for k, hour in enumerate(study["hour"].values)
    ]
    kept = ("connectome", "engine", "minutes", "repetition_s", "global_signal", "command", "kapsim_version")
    print_json(
        {
            "disclaimer": DISCLAIMER,
            "limits": LIMITS,
            "settings": {**{name: study.attrs[name] for name in kept}, "subjects": study.sizes["subject"]},
            "hours": hours,
            "default_mode_network": sign_sentence(study),
            "warnings": warnings_of(study),
            "files": files,
        }
    )


def _print(study: xr.Dataset) -> None:
    from kapsim.brain_study import LIMITS, sign_sentence, warnings_of
    from kapsim.statements import DISCLAIMER

    console = output()
    for k in range(study.sizes["hour"]):
        console.print(_table(study, k))
    for line in sign_sentence(study):
        console.print(line, highlight=False, markup=False)
    for line in warnings_of(study):
        console.print(f"warning: {line}", style="bold", highlight=False, markup=False)
    console.print(LIMITS, style="dim", highlight=False, markup=False)
    console.print(DISCLAIMER, style="dim", highlight=False)


def _table(study: xr.Dataset, hour: int) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from kapsim.brain_study import measure_rows
    from kapsim.report.theme import number_text, percent_text

    people, minutes = study.sizes["subject"], float(study.attrs["minutes"])
    table = Table(
        title=escape(
            f"{study.attrs['connectome']} at {float(study['hour'].values[hour]):.3g} h, {people} people, "
            f"{minutes:.3g} min, global signal {study.attrs['global_signal']}"
        ),
        caption="means over people; effect size: Cohen's d of paired scans; power at 5 %, two-sided",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("measure")
    for heading in ("placebo", "drug", "difference", "effect size", "power"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    for row in measure_rows(study, hour):
        numbers = (number_text(row[key]) for key in ("placebo", "drug", "difference", "effect_size"))
        table.add_row(escape(row["name"]), *numbers, percent_text(row["power"]), row["unit"])
    return table
