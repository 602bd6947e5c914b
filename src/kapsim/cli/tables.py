"""``kapsim run --events`` and ``kapsim events``: event tables in and out."""

from __future__ import annotations

import json as json_format
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import RESULTS_FOLDER, Kinetics, PatientFile, Seed, number, print_json, shown_path
from kapsim.cli.progress import stages
from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    from kapsim.exchange import Predictions

PREDICTIONS_NAME = "predictions.csv"
RECORD_NAME = "predictions.json"
#: What each column of predictions holds.
_UNITS = {
    "ID": "person",
    "REP": "replicate, from 1",
    "TIME": "h",
    "EVID": "0 observation, 2 other",
    "MDV": "1 where nothing was measured",
    "CMT": "number of what is observed",
    "PRED": "ng/mL, typical person with the covariates",
    "IPRED": "ng/mL, drawn person",
    "DV": "ng/mL, drawn person with residual error",
}


def events(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="Name of a protocol (see `kapsim protocols`) or a YAML file.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The event table to write (CSV).")],
    patient: PatientFile = None,
    subjects: Annotated[int, typer.Option("--subjects", metavar="N", help="Number of people, each an ID.")] = 1,
    at: Annotated[
        str | None, typer.Option("--at", metavar="HOURS", help="Times to look at, such as 0.5,1,2; by default many.")
    ] = None,
    observe: Annotated[
        list[str] | None, typer.Option("--observe", metavar="NAME", help="What to look at; may be repeated.")
    ] = None,
    dv: Annotated[
        bool, typer.Option("--dv", help="Simulate measurements with residual error into DV: a data set for fitting.")
    ] = False,
    kinetics: Kinetics = "default",
    seed: Seed = 0,
) -> None:
    """Write the doses of a protocol, or simulated measurements, as an event table for other tools."""
    from kapsim.exchange import measured_events, protocol_events, simulate_events, write_events
    from kapsim.exchange.table import USUAL
    from kapsim.patient import load_patient
    from kapsim.protocol import load_protocol

    table = protocol_events(
        load_protocol(protocol),
        None if patient is None else load_patient(patient),
        subjects=subjects,
        seed=seed,
        at=None if at is None else _hours(at),
        observed=observe or (USUAL,),
    )
    if dv:
        table = measured_events(simulate_events(table, kinetics, seed=seed))
    write_events(table, out)
    typer.echo(f"{DISCLAIMER}\n\nevents: {out}")


def _hours(text: str) -> list[float]:
    from kapsim.errors import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--at: '{text}' is not a list of hours; write it like 0.5,1,2") from None


def run_events(
    path: Path, ignore: Sequence[str], kinetics: str, draws: int, seed: int, out: Path | None, *, as_json: bool
) -> None:
    """Simulate an event table and write its predictions with the record of how they came about."""
    from kapsim.exchange import predictions_csv, read_events, simulate_events
    from kapsim.files import output_folder, write_together

    words = ["kapsim", "run", "--events", shown_path(path), *(word for name in ignore for word in ("--ignore", name))]
    words += [] if kinetics == "default" else ["--kinetics", kinetics]
    command = shlex.join([*words, "--draws", str(draws), "--seed", str(seed)])
    table = read_events(path, ignore=ignore)
    if as_json and out is None:
        predictions = simulate_events(table, kinetics, draws=draws, seed=seed)
        print_json({**_record(predictions, command), "rows": _columns(predictions), "files": {}})
        return
    folder = RESULTS_FOLDER / path.stem if out is None else out
    target, record = folder / PREDICTIONS_NAME, folder / RECORD_NAME
    with output_folder(folder), stages(2) as begin:
        begin("solving")
        predictions = simulate_events(table, kinetics, draws=draws, seed=seed)
        begin("writing the files")
        content = _record(predictions, command)
        text = json_format.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_together({target: predictions_csv(predictions).encode("utf-8"), record: text.encode("utf-8")})
    if as_json:
        print_json({**content, "files": {"predictions": target.as_posix(), "record": record.as_posix()}})
        return
    people, rows = len(table.subjects), len(predictions.observations)
    typer.echo(
        f"{people} people, {rows} rows that are no dose, {draws} draws of each; kinetics {kinetics}, seed {seed}"
    )
    typer.echo(f"\n{DISCLAIMER}\n\npredictions: {target}\nrecord:      {record}")


def _record(predictions: Predictions, command: str) -> dict[str, Any]:
    """Return what reproduces a simulation of a table, and what its columns mean."""
    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash, evidence_version
    from kapsim.exchange import OBSERVABLES

    return {
        "disclaimer": DISCLAIMER,
        "provenance": {
            "kapsim_version": __version__,
            "evidence_version": evidence_version(),
            "evidence_hash": evidence_hash(),
            "kinetics": predictions.kinetics,
            "command": command,
            "seed": predictions.seed,
            "draws": predictions.draws,
        },
        "columns": _UNITS,
        "observed": {str(place): name for name, place in OBSERVABLES.items()},
    }


def _columns(predictions: Predictions) -> dict[str, list[Any]]:
    """Return the columns of predictions, by name."""
    from kapsim.exchange import OBSERVABLES

    asked = predictions.observations * predictions.draws
    return {
        "ID": [int(value) for value in predictions.subjects],
        "REP": [int(value) for value in predictions.replicates],
        "TIME": [row.time_h for row in asked],
        "EVID": [row.event for row in asked],
        "MDV": [int(row.missing) for row in asked],
        "CMT": [OBSERVABLES[row.observed] for row in asked],
        "PRED": [number(value) for value in predictions.pred],
        "IPRED": [number(value) for value in predictions.ipred],
        "DV": [number(value) for value in predictions.dv],
    }
