"""Check the evidence: ``python -m kapsim.evidence.check [FILE ...]`` prints one line a problem and a count.

Without files it checks all that is shipped. The exit status is 1 where there is any problem.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kapsim.errors import InputError
from kapsim.evidence._files import MODEL, evidence_files, read_records
from kapsim.evidence.arithmetic import evaluate
from kapsim.evidence.parameter import Parameter
from kapsim.evidence.problems import record_name, validate
from kapsim.evidence.schema import EvidenceParameter, ObservedRecord
from kapsim.units import convert, nearest

__all__ = ["check_all", "check_files", "main"]

MEASURED_TOLERANCE = 1e-6
DERIVED_TOLERANCE = 5e-3

_Typed = Parameter | EvidenceParameter | ObservedRecord


def check_all(model: Path | None = None) -> list[str]:
    """Check everything that is shipped: the evidence files and the model's parameters.

    Parameters
    ----------
    model : Path, optional
        File of the model's parameters to check instead of the shipped one.

    Returns
    -------
    list of str
        Problems, each one line with file, record and key; empty where there is none.
    """
    return check_files([*evidence_files(), MODEL if model is None else model])


def check_files(paths: Iterable[Path | str]) -> list[str]:
    """Check evidence files against every rule.

    The kind of a file follows from its name: ``parameters-*.yaml``, ``observed-*.yaml`` or ``model*.yaml``. Ids must be
    unique over all files given. The sources of a model file are looked up among the files given and the shipped ones.

    Parameters
    ----------
    paths : iterable of Path or str
        Files to check.

    Returns
    -------
    list of str
        Problems, each one line with file, record and key; empty where there is none.
    """
    files = [Path(path) for path in paths]
    problems: list[str] = []
    seen: dict[str, str] = {}
    records: list[tuple[str, _Typed]] = []
    for path in files:
        records += _check_file(path, seen, problems)
    parameters = [(name, record) for name, record in records if isinstance(record, Parameter)]
    if parameters:
        evidence: dict[str, EvidenceParameter] = {}
        known: set[str] = set()
        given = {path.resolve() for path in files}
        for path in evidence_files():
            if path.resolve() not in given:
                records += _check_file(path, {}, [])
        for _, record in records:
            if not isinstance(record, Parameter):
                known.add(record.id)
            if isinstance(record, EvidenceParameter):
                evidence[record.id] = record
        for name, parameter in parameters:
            problems += [f"{name}: {parameter.id}: {line}" for line in _against_evidence(parameter, evidence, known)]
    return problems


def _check_file(path: Path, seen: dict[str, str], problems: list[str]) -> list[tuple[str, _Typed]]:
    model: type[_Typed]
    if path.name.startswith("parameters-"):
        model = EvidenceParameter
    elif path.name.startswith("observed-"):
        model = ObservedRecord
    elif path.name.startswith("model"):
        model = Parameter
    else:
        problems.append(f"{path.name}: is neither parameters-*.yaml nor observed-*.yaml nor model.yaml")
        return []
    try:
        items: list[Any] = read_records(path, unique_keys=True)
    except InputError as error:
        problems.append(str(error))
        return []
    typed: list[tuple[str, _Typed]] = []
    for index, item in enumerate(items):
        name = record_name(item, index)
        record, found = validate(model, item)
        problems += [f"{path.name}: {name}: {line}" for line in found]
        identity = item.get("id") if isinstance(item, dict) else None
        if isinstance(identity, str):
            if identity in seen:
                problems.append(f"{path.name}: {name}: id: also in {seen[identity]}")
            seen[identity] = path.name
        if record is not None:
            typed.append((path.name, record))
    return typed


def _against_evidence(
    parameter: Parameter, evidence: Mapping[str, EvidenceParameter], known: Iterable[str]
) -> list[str]:
    names = set(known)
    found = []
    spread = parameter.between_subject.sources if parameter.between_subject is not None else ()
    for key, sources in (("sources", parameter.sources), ("between_subject.sources", spread)):
        for identity in sources:
            if identity not in names:
                close = nearest(identity, names)
                found.append(f"{key}: no evidence record {identity!r}" + (f"; nearest {close!r}" if close else ""))
    if found:
        return found
    try:
        if parameter.status == "measured":
            found += _measured(parameter, evidence)
        elif parameter.formula is not None:
            found += _derived(parameter, parameter.formula, evidence)
    except InputError as error:
        found.append(f"{'formula' if parameter.formula is not None else 'unit'}: {error}")
    return found


def _measured(parameter: Parameter, evidence: Mapping[str, EvidenceParameter]) -> list[str]:
    identity = parameter.sources[0]
    source = evidence.get(identity)
    if source is None or source.value is None:
        return [f"sources: the first, {identity!r}, is no measured quantity with a value"]
    right = convert(source.value, source.unit, parameter.unit)
    if math.isclose(parameter.value, right, rel_tol=MEASURED_TOLERANCE):
        return []
    return [f"value: measured as {parameter.value:g} {parameter.unit}, but {identity} gives {right:.8g}"]


def _derived(parameter: Parameter, formula: str, evidence: Mapping[str, EvidenceParameter]) -> list[str]:
    right = evaluate(formula, evidence)
    if math.isclose(parameter.value, right, rel_tol=DERIVED_TOLERANCE):
        return []
    return [f"value: {parameter.value:g} {parameter.unit}, but the formula gives {right:.8g}"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check as a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Files to check; by default those of the command line.

    Returns
    -------
    int
        Exit status: 1 where there is any problem, else 0.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if {"-h", "--help"} & set(arguments):
        print((__doc__ or "").strip())
        return 0
    files = [Path(argument) for argument in arguments] or [*evidence_files(), MODEL]
    problems = check_files(files)
    for line in problems:
        print(line)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
