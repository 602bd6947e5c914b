"""``kapsim trial`` and ``kapsim power``: a design conducted many times, and how many people it needs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import RESULTS_FOLDER, Kinetics, Predicted, Seed, print_json, shown_path, with_extensions
from kapsim.cli.runs import output

if TYPE_CHECKING:
    from kapsim.trial.design import Trial
    from kapsim.trial.operating import Characteristics, Table
    from kapsim.trial.power import Power
    from kapsim.trial.shards import Plan, Scenario

REPORT_NAME, SUMMARY_NAME, DATA_NAME, POWER_NAME = "report.html", "summary.json", "data", "power.html"
_MOST_PATIENTS, _FEWEST_PATIENTS, _MOST_REPLICATES = 20_000, 4, 1_000_000

DesignFile = Annotated[Path, typer.Argument(metavar="DESIGN", help="Trial design, a YAML file; see docs/trials.md.")]
Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="WHERE",
        help="local: processes here; serial: this process; tcp://HOST:PORT: a Dask cluster. Results are the same.",
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", help="Processes of local [one a core].")]
JsonOnly = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of tables; write files only where --out is given.")
]


def trial(
    design: DesignFile,
    patients: Annotated[int, typer.Option("--patients", metavar="N", help="People recruited into each trial.")] = 100,
    replicates: Annotated[int, typer.Option("--replicates", metavar="R", help="Trials of each scenario.")] = 200,
    seed: Seed = 0,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            metavar="NAME",
            help="fixed: power; ensemble: assurance; null: type-I error; may be repeated [all three].",
        ),
    ] = None,
    variant: Predicted = "average",
    kinetics: Kinetics = "default",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for what is written [kapsim-results/NAME].")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder; where there is none, begin.")
    ] = False,
    scheduler: Scheduler = "local",
    workers: Workers = None,
    json: JsonOnly = False,
) -> None:
    """Conduct a trial many times: power, type-I error, assurance, bias, and one trial's data set.

    Writes a report, a summary in JSON, the data of the first trial as CSV and Parquet, and the results of every trial,
    shard by shard: a run that is stopped goes on with --resume.
    """
    from kapsim.averaging import check_variant
    from kapsim.errors import InputError
    from kapsim.runs.columns import check_extra
    from kapsim.runs.progress import shown
    from kapsim.trial.design import load_design
    from kapsim.trial.operating import characteristics
    from kapsim.trial.running import run_trial
    from kapsim.trial.shards import Plan, TrialWork

    check_extra()
    check_variant(variant)
    loaded = load_design(design)
    _check_doses(loaded, kinetics)
    check_numbers(loaded, patients, replicates, seed)
    plan = Plan(patients, replicates, seed, _scenarios(scenario), variant, kinetics)
    work = TrialWork(loaded, plan)
    if resume and json and out is None:
        raise InputError("--resume goes on with a folder; name it with --out DIR")
    words = [
        *_command("trial", design, seed, variant, kinetics),
        "--patients",
        str(patients),
        "--replicates",
        str(replicates),
    ]
    for name in scenario or ():
        words += ["--scenario", name]
    command = shlex.join(words)
    if json and out is None:
        with shown("shards") as progress:
            table = run_trial(work, scheduler=scheduler, workers=workers, progress=progress)
        print_json(_account(loaded, characteristics(loaded, patients, table), table, plan, command, {}))
        return

    from kapsim.files import output_folder, write_together

    folder = RESULTS_FOLDER / loaded.design.name if out is None else out
    with output_folder(folder), shown("shards") as progress:
        table = run_trial(work, folder, resume=resume, scheduler=scheduler, workers=workers, progress=progress)
        found = characteristics(loaded, patients, table)
        files = {
            "report": folder / REPORT_NAME,
            "summary": folder / SUMMARY_NAME,
            "data_csv": folder / f"{DATA_NAME}.csv",
            "data_parquet": folder / f"{DATA_NAME}.parquet",
        }
        account = _account(loaded, found, table, plan, command, {name: path.as_posix() for name, path in files.items()})
        write_together(_contents(loaded, found, table, plan, account, files))
    if json:
        print_json(account)
        return
    from kapsim.report.trial_summary import print_trial

    print_trial(loaded, found, table, plan, console=output(pipe_width=150))
    for name, path in files.items():
        typer.echo(f"{name}: {path}")


def power(
    design: DesignFile,
    target: Annotated[float, typer.Option("--target", metavar="P", help="Power to reach, between 0 and 1.")] = 0.9,
    replicates: Annotated[int, typer.Option("--replicates", metavar="R", help="Trials that are simulated.")] = 400,
    seed: Seed = 0,
    assurance: Annotated[
        bool, typer.Option("--assurance", help="Search by assurance too: each trial its own draw of the parameters.")
    ] = False,
    most: Annotated[int, typer.Option("--most", metavar="N", help="Largest trial that is looked at.")] = 2000,
    variant: Predicted = "average",
    kinetics: Kinetics = "default",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for power.html.")] = None,
    scheduler: Scheduler = "local",
    workers: Workers = None,
    json: JsonOnly = False,
) -> None:
    """Search how many people a trial needs, by simulation, and say how sure that is."""
    from kapsim.averaging import check_variant
    from kapsim.runs.progress import shown
    from kapsim.trial.design import load_design
    from kapsim.trial.power import check_search, find_size

    check_variant(variant)
    loaded = load_design(design)
    _check_doses(loaded, kinetics)
    check_numbers(loaded, _FEWEST_PATIENTS * len(loaded.groups), 1, seed)
    check_search(loaded, target, replicates, most)
    words = [
        *_command("power", design, seed, variant, kinetics),
        "--target",
        f"{target:g}",
        "--replicates",
        str(replicates),
    ]
    command = shlex.join([*words, "--most", str(most), *(["--assurance"] if assurance else [])])
    searches: list[Power] = []
    with shown("shards") as progress:
        for parameters in ("fixed", "ensemble") if assurance else ("fixed",):
            searches.append(
                find_size(
                    loaded,
                    target,
                    replicates=replicates,
                    seed=seed,
                    parameters="ensemble" if parameters == "ensemble" else "fixed",
                    variant=variant,
                    kinetics=kinetics,
                    most=most,
                    scheduler=scheduler,
                    workers=workers,
                    progress=progress,
                )
            )
    files: dict[str, str] = {}
    if out is not None:
        from kapsim.files import output_folder, write_together
        from kapsim.report.trial_page import power_html
        from kapsim.report.trial_summary import power_sentence

        page = out / POWER_NAME
        sentences = [power_sentence(search) for search in searches]
        text = power_html(
            loaded, searches, sentences=sentences, provenance=_provenance(variant, kinetics, seed, command)
        )
        with output_folder(out):
            write_together({page: text.encode("utf-8")})
        files["report"] = page.as_posix()
    if json:
        from kapsim.report.trial_tables import plain
        from kapsim.statements import DISCLAIMER

        about = dict(_provenance(variant, kinetics, seed, command))
        content = {
            "disclaimer": DISCLAIMER,
            "design": loaded.design.name,
            "provenance": about,
            "searches": [search.as_data() for search in searches],
            "files": files,
        }
        print_json(plain(content))
        return
    from kapsim.report.trial_summary import print_power

    print_power(searches, console=output())
    for path in files.values():
        typer.echo(f"report: {path}")


def check_numbers(trial: Trial, patients: int, replicates: int, seed: int) -> None:
    """Raise InputError for numbers that a trial cannot have."""
    from kapsim.errors import InputError

    least = max(_FEWEST_PATIENTS, 2 * len(trial.groups))
    if not least <= patients <= _MOST_PATIENTS:
        raise InputError(f"patients: {patients} is not between {least} and {_MOST_PATIENTS}; 100 is the default")
    if not 1 <= replicates <= _MOST_REPLICATES:
        raise InputError(f"replicates: {replicates} is not between 1 and {_MOST_REPLICATES}; 200 is the default")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed: {seed} is not between 0 and 2^63 - 1")


def _scenarios(given: Sequence[str] | None) -> tuple[Scenario, ...]:
    from kapsim.errors import InputError
    from kapsim.file_model import nearest_of
    from kapsim.trial.shards import SCENARIOS

    for name in given or ():
        if name not in SCENARIOS:
            raise InputError(f"unknown scenario {name!r}; {nearest_of(name, list(SCENARIOS), 'scenario')}")
    return tuple(name for name in SCENARIOS if not given or name in given)


def _check_doses(trial: Trial, kinetics: str) -> None:
    """Raise InputError where the kinetics do not know what an arm gives."""
    from kapsim.kinetic_sets import check_protocol

    for group in range(len(trial.groups)):
        for period in trial.periods(group):
            check_protocol(kinetics, period.protocol)


def _command(name: str, design: Path, seed: int, variant: str, kinetics: str) -> list[str]:
    more = [] if kinetics == "default" else ["--kinetics", kinetics]
    return ["kapsim", *with_extensions(), name, shown_path(design), "--seed", str(seed), "--variant", variant, *more]


def _provenance(variant: str, kinetics: str, seed: int, command: str) -> list[tuple[str, str]]:
    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash, evidence_version

    return [
        ("kapsim version", __version__),
        ("evidence version", evidence_version()),
        ("evidence hash (SHA-256)", evidence_hash()),
        ("variant", variant),
        ("kinetics", kinetics),
        ("seed", str(seed)),
        ("command", command),
    ]


def _account(
    trial: Trial, found: list[Characteristics], table: Table, plan: Plan, command: str, files: dict[str, str]
) -> dict[str, Any]:
    from kapsim.report.trial_tables import account, structure

    about = {
        **dict(_provenance(plan.variant, plan.kinetics, plan.seed, command)),
        "design hash (SHA-256)": trial.digest(),
        "patients": plan.patients,
        "replicates": plan.replicates,
    }
    under = structure(trial, plan.patients, table, plan.variant)
    return {**account(trial, found, table, about, under), "files": files}


def _contents(
    trial: Trial,
    found: list[Characteristics],
    table: Table,
    plan: Plan,
    account: dict[str, Any],
    files: dict[str, Path],
) -> dict[Path, bytes]:
    import json as json_format

    from kapsim.report.trial_page import trial_html
    from kapsim.report.trial_tables import structure
    from kapsim.trial.conduct import Settings, conduct
    from kapsim.trial.table import csv_bytes, parquet_bytes
    from kapsim.trial.table import table as data_table

    parameters = "ensemble" if plan.scenarios == ("ensemble",) else "fixed"
    settings = Settings(
        plan.patients, plan.seed, "ensemble" if parameters == "ensemble" else "fixed", plan.variant, plan.kinetics
    )
    columns = data_table(conduct(trial, settings, [0]), 0)
    provenance = [(name, str(value)) for name, value in account["provenance"].items()]
    page = trial_html(
        trial, found, table, patients=plan.patients, replicates=plan.replicates, provenance=provenance,
        under=structure(trial, plan.patients, table, plan.variant),
    )  # fmt: skip
    text = json_format.dumps(account, indent=2, ensure_ascii=False, allow_nan=False)
    return {
        files["report"]: page.encode("utf-8"),
        files["summary"]: f"{text}\n".encode(),
        files["data_csv"]: csv_bytes(columns),
        files["data_parquet"]: parquet_bytes(columns),
    }
