"""A calibration as package data: posterior values and widths, and the same without each study.

`model.yaml` keeps the priors with their sources; the file that a calibration writes says what became of them, so that
it can be made again from the same start.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from kapsim.errors import InputError
from kapsim.evidence._files import CALIBRATION, CALIBRATIONS, CHAIN_LEFT_OUT, CHAIN_VARIANTS, read_yaml
from kapsim.evidence.fields import Identities, Identity, Model, NotNegative, Number, Text, TextOrNull
from kapsim.evidence.parameter import Parameter, Prior
from kapsim.strict_yaml import one_line


class Moved(Model):
    """What a calibration made of one parameter.

    Attributes
    ----------
    id : str
    value : float
        Middle of the posterior (its mode, where it was not sampled), in the parameter's unit.
    sd : float
        Width of its law, of the same kind as the prior's.
    moved : float
        Distance from the prior's centre in its standard deviations.
    kept : float
        Posterior over prior standard deviation; 1 where the records say nothing.
    """

    id: Identity
    value: Number
    sd: NotNegative
    moved: Number
    kept: NotNegative


class LeftOut(Model):
    """The calibration without one study.

    Attributes
    ----------
    study : str
        Author and year, as results name it.
    records : tuple of str
        Its records that the calibration is fitted to, none of which was.
    dropped : tuple of str
        Parameters that the study gave a value: they started from a vague prior.
    not_testable : mapping of str to str
        Records that no other study could predict, and why.
    parameters : tuple of Moved
    """

    study: Text
    records: Identities
    dropped: Identities
    not_testable: dict[str, str]
    parameters: tuple[Moved, ...] = Field(strict=False)


class OfVariant(Model):
    """The calibration under another variant of the contested links.

    Attributes
    ----------
    variant : str
    parameters : tuple of Moved
        The same as those of the standard chain.
    """

    variant: Text
    parameters: tuple[Moved, ...] = Field(strict=False)


class Sampled(Model):
    """How a posterior was sampled, and whether that can be trusted.

    Attributes
    ----------
    version : str
        Version of kapsim.
    evidence : str
        SHA-256 of the evidence at the time.
    seed, draws, divergences : int
    r_hat : float
        Largest over the parameters.
    effective : float
        Smallest number of independent draws over the parameters.
    pareto_shape : float
        Of the weights from the emulator's posterior to the model's own.
    """

    version: Text
    evidence: Text
    seed: int
    draws: int
    divergences: int
    r_hat: Number
    effective: Number
    pareto_shape: Number


class Contested(Model):
    """A variant of the contested links, scored by the records that the calibration is fitted to.

    Attributes
    ----------
    name : str
    log_density : float
        Expected log predictive density of studies left out one at a time, their sum.
    behind, se : float
        How much less than the best variant's, and the standard error of that over studies.
    weight : float
        In the mixture of variants that predicts studies best; all sum to 1.
    doubtful : int
        Studies whose importance weights have too heavy a tail to be trusted.
    """

    name: Text
    log_density: Number
    behind: NotNegative
    se: NotNegative
    weight: NotNegative
    doubtful: int


class Calibration(Model):
    """A calibration and what it was made from.

    Attributes
    ----------
    script, inputs : str
        What writes the file, and the SHA-256 of what it starts from.
    error : str
        The error model, in words.
    records : tuple of str
        Ids of the observed records that were fitted.
    parameters : tuple of Moved
    leave_one_study_out : tuple of LeftOut
    sampled : Sampled or None
        None for a mode.
    variants : tuple of Contested
        Empty where they were not scored.
    note : str or None
    """

    script: Text
    inputs: Text
    error: Text
    records: Identities
    parameters: tuple[Moved, ...] = Field(strict=False)
    leave_one_study_out: tuple[LeftOut, ...] = Field(strict=False)
    sampled: Sampled | None = None
    variants: tuple[Contested, ...] = Field((), strict=False)
    note: TextOrNull = None


@functools.cache
def load_calibration(path: Path = CALIBRATION) -> Calibration:
    """Load a calibration.

    Parameters
    ----------
    path : Path, optional
        File to read; that of the kinetics by default. It is read once.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold a calibration.
    """
    found: Calibration = _read(path, TypeAdapter(Calibration))
    return found


@functools.cache
def load_left_out(path: Path = CHAIN_LEFT_OUT) -> tuple[LeftOut, ...]:
    """Load what became of a calibration without each study, from a file of its own.

    Parameters
    ----------
    path : Path, optional
        File to read; that of the chain from glutamate to mood by default. It is read once.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold such studies.
    """
    found: tuple[LeftOut, ...] = _read_if_there(path, TypeAdapter(tuple[LeftOut, ...]))
    return found


@functools.cache
def load_of_variants(path: Path = CHAIN_VARIANTS) -> tuple[OfVariant, ...]:
    """Load what became of a calibration under every other variant.

    Parameters
    ----------
    path : Path, optional
        File to read; that of the chain from glutamate to mood by default. It is read once.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold such variants.
    """
    found: tuple[OfVariant, ...] = _read_if_there(path, TypeAdapter(tuple[OfVariant, ...]))
    return found


def _read_if_there(path: Path, shape: TypeAdapter[Any]) -> Any:
    return _read(path, shape) if path.exists() else ()


def _read(path: Path, shape: TypeAdapter[Any]) -> Any:
    content = read_yaml(path)
    try:
        return shape.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "(file)"
        raise InputError(f"{path.name}: {one_line(where)}: {one_line(first['msg'], 300)}") from None


def every_left_out() -> tuple[LeftOut, ...]:
    """Return the studies that the shipped calibrations were made without, each with what was left."""
    within = [item for path in CALIBRATIONS if path.exists() for item in load_calibration(path).leave_one_study_out]
    return (*within, *load_left_out())


def calibrated(priors: Mapping[str, Parameter], calibration: Calibration) -> dict[str, Parameter]:
    """Return the parameters that a calibration moved, each with its prior.

    Parameters
    ----------
    priors : mapping of str to Parameter
    calibration : Calibration
    """
    return moved(priors, calibration.parameters, calibration.records)


def moved(
    priors: Mapping[str, Parameter], parameters: tuple[Moved, ...], records: tuple[str, ...]
) -> dict[str, Parameter]:
    """Return parameters as a calibration on `records` left them.

    Parameters
    ----------
    priors : mapping of str to Parameter
    parameters : tuple of Moved
    records : tuple of str

    Raises
    ------
    InputError
        For a parameter that is not in the registry or has no prior width.
    """
    found = {}
    for item in parameters:
        prior = priors.get(item.id)
        if prior is None or prior.uncertainty is None:
            raise InputError(f"calibration: {item.id}: is no uncertain parameter; run the calibration again")
        law = prior.uncertainty.model_copy(update={"sd": item.sd})
        start = Prior(value=prior.value, status=prior.status, uncertainty=prior.uncertainty, formula=prior.formula)
        found[item.id] = prior.model_copy(
            update={
                "value": item.value,
                "uncertainty": law,
                "status": "calibrated",
                "formula": None,
                "fitted_to": records,
                "prior": start,
            }
        )
    return found
