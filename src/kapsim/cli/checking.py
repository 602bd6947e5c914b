"""``kapsim check``: is a file right? Loads nothing heavy, so that it is quick on many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_EVIDENCE = ("parameters-", "observed-")
#: Keys that only the file of a trial design has.
_DESIGN = frozenset({"arms", "primary", "estimand", "visits"})


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Protocols, patients, populations, trial designs, evidence (YAML); event tables, covariates (CSV).",
        ),
    ],
) -> None:
    """Check protocol, patient, population, design and evidence files, event tables and tables of covariates.

    One line a problem; exit status 2 where there is one.
    """
    from kapsim.errors import InputError

    evidence = [path for path in files if _is_evidence(path)]
    problems: list[str] = []
    for path in files:
        if path in evidence:
            continue
        try:
            typer.echo(_check_one(path))
        except InputError as error:
            problems.append(str(error))
    if evidence:
        from kapsim.evidence import check_files

        # Together, for ids are unique over files.
        found = check_files(evidence)
        problems += found
        if not found:
            for path in evidence:
                typer.echo(f"{path}: evidence, right")
    for line in problems:
        typer.echo(f"kapsim: error: {' '.join(line.split())}", err=True)
    if problems:
        raise typer.Exit(InputError.exit_status)


def _is_evidence(path: Path) -> bool:
    if path.name.startswith(_EVIDENCE):
        return True
    # The model's own parameters are a list; a protocol may be called model-something too.
    return path.name.startswith("model") and _begins_a_list(path)


def _begins_a_list(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            lines = (line.strip() for line in stream)
            first = next((line for line in lines if line and not line.startswith(("#", "---"))), "")
    except (OSError, ValueError):
        return False
    return first.startswith("- ")


def _check_one(path: Path) -> str:
    """Return what a file is; raise `InputError` with the first problem in it."""
    from kapsim import file_model, strict_yaml
    from kapsim.patient import Patient
    from kapsim.population.schema import PopulationFile
    from kapsim.protocol import Protocol

    if path.suffix.lower() == ".csv" and _names_units(path):
        from kapsim.population.table import read_table

        table = read_table(path)
        return f"{path}: covariates, right (people: {table.rows}, traits: {', '.join(table.columns)})"
    if path.suffix.lower() == ".csv":
        from kapsim.exchange.reading import read_events

        people = read_events(path).subjects
        doses, asked = (
            sum(len(part) for part in parts) for parts in zip(*((p.doses, p.observations) for p in people), strict=True)
        )
        return f"{path}: event table, right (people: {len(people)}, dose rows: {doses}, other rows: {asked})"
    document = strict_yaml.read(path)
    if isinstance(document.data, list):
        raise document.error(
            (), "is a list of records; evidence files are called parameters-*.yaml, observed-*.yaml or model.yaml"
        )
    keys = set(document.data) if isinstance(document.data, dict) else set()
    if keys & _DESIGN:
        from kapsim.trial import load_design

        trial = load_design(path)
        return f"{path}: trial design {trial.design.name}, right (arms: {len(trial.design.arms)}, {trial.design.kind})"
    scores = {kind: len(keys & _keys(kind)) for kind in (Protocol, Patient)}
    if len(keys & (_keys(PopulationFile) - _keys(Protocol) - _keys(Patient))) > 0:
        from kapsim.population import load_population

        found = load_population(path)
        return f"{path}: population {found.name}, right (traits: {', '.join(found.traits)})"
    # What both have, such as schema_version, tells nothing: then it is a protocol that lacks its keys.
    if scores[Patient] > scores[Protocol] or (keys and keys <= _keys(Patient)):
        file_model.validate(Patient, document)
        return f"{path}: patient, right"
    protocol = file_model.validate(Protocol, document)
    doses, sessions = len(protocol.dose_events()), len(protocol.session_events())
    return f"{path}: protocol {protocol.name}, right (doses: {doses}, therapy sessions: {sessions})"


def _names_units(path: Path) -> bool:
    """Whether the first line has units in brackets, or the sex alone, as covariates have and event tables have not."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            first = next((line for line in stream if line.strip()), "")
    except (OSError, ValueError):
        return False
    words = {word.strip() for word in first.split(",")}
    return "[" in first or bool(words & {"sex", "antidepressant", "benzodiazepine"})


def _keys(kind: type) -> set[str]:
    from pydantic import BaseModel

    assert issubclass(kind, BaseModel)
    return {field.alias or name for name, field in kind.model_fields.items()}
