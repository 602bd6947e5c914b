"""The registry: the model's parameters with unit, status, sources and laws, and the evidence that they rest on.

Loading the model's parameters reads one small file and never the evidence; that is read when it is first asked for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kapsim.errors import InputError
from kapsim.evidence._files import CALIBRATIONS, CHAIN_CALIBRATION, DATA, MODEL, evidence_files, read_records
from kapsim.evidence.parameter import Parameter
from kapsim.evidence.problems import record_name, validate
from kapsim.extensions import extensions, fingerprints
from kapsim.units import convert, format_quantity, nearest

if TYPE_CHECKING:
    from kapsim.evidence.fields import Model
    from kapsim.evidence.schema import EvidenceParameter, ObservedRecord

_Record = TypeVar("_Record", bound="Model")


def load_parameters(path: Path | None = None, *, chain: bool = True) -> dict[str, Parameter]:
    """Load the model's parameters: those of the registry, and in place of some what a calibration made of them.

    Parameters
    ----------
    path : Path, optional
        File to read instead of the shipped one; no calibration and no extension then.
    chain : bool
        False leaves out the calibration of the chain from glutamate to mood: what its own fit starts from.

    Returns
    -------
    dict of str to Parameter
        Parameters by id, in the order of the file.

    Raises
    ------
    InputError
        If the file cannot be read or a record breaks a rule; what needs the evidence is left to the checks.
    """
    return dict(_parameters(chain)) if path is None else {record.id: record for record in _load(Parameter, Path(path))}


@functools.cache
def _parameters(chain: bool) -> dict[str, Parameter]:
    from kapsim.evidence.calibration import calibrated, load_calibration

    priors = load_priors()
    found = dict(priors)
    for path in CALIBRATIONS:
        if path.exists() and (chain or path != CHAIN_CALIBRATION):
            found.update(calibrated(priors, load_calibration(path)))
    return _with_own(found, Parameter, "parameters")


def _with_own(shipped: dict[str, _Record], model: type[_Record], kind: str) -> dict[str, _Record]:
    """Return the shipped records and those of extensions, which may take no name that is taken."""
    found = dict(shipped)
    for item in extensions():
        path: Path | None = getattr(item, kind)
        if path is None:
            continue
        for record in _load(model, path):
            identity: str = record.id  # type: ignore[attr-defined]
            if identity in found:
                raise InputError(f"{path.name}: {identity}: there is a record of this id already; choose another")
            found[identity] = record
    return found


def load_priors() -> dict[str, Parameter]:
    """Load the model's parameters as they were before any calibration.

    Returns
    -------
    dict of str to Parameter
    """
    return dict(_priors())


@functools.cache
def _priors() -> dict[str, Parameter]:
    return {record.id: record for record in _load(Parameter, MODEL)}


def load_evidence(paths: Iterable[Path] | None = None) -> dict[str, EvidenceParameter]:
    """Load the measured quantities of the ``parameters-*.yaml`` files.

    Parameters
    ----------
    paths : iterable of Path, optional
        Files to read instead of the shipped ones.

    Returns
    -------
    dict of str to EvidenceParameter
        Records by id, in the order of the files.

    Raises
    ------
    InputError
        If a file cannot be read or a record breaks a rule.
    """
    return dict(_evidence()) if paths is None else _read_evidence(paths)


@functools.cache
def _evidence() -> dict[str, EvidenceParameter]:
    from kapsim.evidence.schema import EvidenceParameter

    return _with_own(_read_evidence(_shipped("parameters-")), EvidenceParameter, "evidence")


def _read_evidence(paths: Iterable[Path]) -> dict[str, EvidenceParameter]:
    from kapsim.evidence.schema import EvidenceParameter

    return {record.id: record for path in paths for record in _load(EvidenceParameter, path)}


def load_observed(paths: Iterable[Path] | None = None) -> list[ObservedRecord]:
    """Load the published outcomes of the ``observed-*.yaml`` files.

    Parameters
    ----------
    paths : iterable of Path, optional
        Files to read instead of the shipped ones.

    Returns
    -------
    list of ObservedRecord
        Records in the order of the files.

    Raises
    ------
    InputError
        If a file cannot be read or a record breaks a rule.
    """
    return list(_observed()) if paths is None else _read_observed(paths)


@functools.cache
def _observed() -> tuple[ObservedRecord, ...]:
    return tuple(_read_observed(_shipped("observed-")))


def _read_observed(paths: Iterable[Path]) -> list[ObservedRecord]:
    from kapsim.evidence.schema import ObservedRecord

    return [record for path in paths for record in _load(ObservedRecord, path)]


def _shipped(prefix: str) -> tuple[Path, ...]:
    return tuple(path for path in evidence_files() if path.name.startswith(prefix))


def _load(model: type[_Record], path: Path) -> list[_Record]:
    records: list[_Record] = []
    problems: list[str] = []
    seen: set[Any] = set()
    for index, item in enumerate(read_records(path)):
        record, found = validate(model, item)
        name = record_name(item, index)
        problems += [f"{path.name}: {name}: {line}" for line in found]
        if record is not None:
            if name in seen:
                problems.append(f"{path.name}: {name}: id: stands twice")
            seen.add(name)
            records.append(record)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
    return records


def get_parameter(identity: str, path: Path | None = None) -> Parameter:
    """Return one of the model's parameters.

    Parameters
    ----------
    identity : str
        Its id, such as ``"pk.v1"``.
    path : Path, optional
        File to read instead of the shipped one.

    Returns
    -------
    Parameter

    Raises
    ------
    InputError
        If there is no such parameter; the message names the nearest one.
    """
    parameters = load_parameters(path)
    if identity not in parameters:
        close = nearest(identity, parameters)
        advice = f"; did you mean {close!r}?" if close else "; 'kapsim parameters' lists them all"
        raise InputError(f"no parameter {identity!r}{advice}")
    return parameters[identity]


def derivation(parameter: Parameter | str) -> str:
    """Show how a parameter's value comes about, with the numbers.

    Parameters
    ----------
    parameter : Parameter or str
        A parameter of the model, or its id.

    Returns
    -------
    str
        For a derived parameter its formula, the formula with numbers in place of the references, and the result; for a
        measured one the source's figure; otherwise the value and its status. For a calibrated parameter, how its prior
        comes about, then what became of it. One step a line.

    Raises
    ------
    InputError
        If the id is unknown or the formula fails.
    """
    if isinstance(parameter, str):
        parameter = get_parameter(parameter)
    if parameter.prior is not None:
        start = parameter.prior
        before = parameter.model_copy(
            update={
                "value": start.value,
                "status": start.status,
                "uncertainty": start.uncertainty,
                "formula": start.formula,
                "prior": None,
            }
        )
        now = format_quantity(parameter.value, parameter.unit)
        fitted = len(parameter.fitted_to)
        return f"{derivation(before)}\n{parameter.id} = {now} (calibrated on {fitted} published outcomes from there)"
    stated = format_quantity(parameter.value, parameter.unit)
    if parameter.formula is not None:
        from kapsim.evidence.arithmetic import evaluate, substitute

        evidence = load_evidence()
        computed = evaluate(parameter.formula, evidence)
        return "\n".join(
            (
                f"{parameter.id} = {parameter.formula}",
                f"  = {substitute(parameter.formula, evidence)}",
                f"  = {format_quantity(computed, parameter.unit)} (recorded as {stated})",
            )
        )
    if parameter.status == "measured" and parameter.sources:
        source = load_evidence().get(parameter.sources[0])
        if source is None or source.value is None:
            raise InputError(f"{parameter.id}: sources: {parameter.sources[0]!r} is no measured quantity")
        line = f"{parameter.id} = {parameter.sources[0]}\n  = {format_quantity(source.value, source.unit)}"
        if source.unit == parameter.unit:
            return line
        converted = convert(source.value, source.unit, parameter.unit)
        return f"{line}\n  = {format_quantity(converted, parameter.unit)}"
    return f"{parameter.id} = {stated} ({parameter.status})"


@functools.cache
def evidence_version() -> str:
    """Return the version of the evidence folder, such as ``"2026.11"``."""
    return (DATA / "VERSION").read_text(encoding="utf-8").strip()


@functools.cache
def evidence_hash() -> str:
    """Return the SHA-256 over all files of the evidence folder, sorted by name, as 64 hexadecimal digits.

    Name and length of each file enter with its bytes, so that neither a new name nor text moved between files goes
    unseen. Extensions, which bring numbers and equations of their own, enter last.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in DATA.iterdir() if p.is_file() and not p.name.startswith(".")):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    for name, own in fingerprints().items():
        digest.update(f"{name}\0{own}\0".encode())
    return digest.hexdigest()
