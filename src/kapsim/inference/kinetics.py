"""Calibrate the default kinetics on published concentrations, and again without each study.

A few people of each record's group are simulated, spread evenly over how people differ, and give the record's own
figure (a mean, a median). Its logarithm errs by what its study shares (a random effect of study and analyte) and by an
error of its own, with heavy tails, so that a printing error or one odd assay does not move the rest. Priors are those
of the registry. The posterior mode and its width are those of `mode`. When a study is left out, the parameters that it
gave a value to start from a vague prior that no study informs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapsim.errors import InputError
from kapsim.evidence import Parameter
from kapsim.evidence._files import DATA
from kapsim.inference.mode import MOST_STEPS, Fit, HeavyTails, find_mode
from kapsim.inference.predicting import Predictor
from kapsim.validation.arms import Settings
from kapsim.validation.cases import Case
from kapsim.validation.figures import Figure
from kapsim.validation.independence import StudyName, parameters_from, record_study, source_studies
from kapsim.validation.predictive import transformed
from kapsim.validation.regimens import NotSimulableError

Array = NDArray[np.float64]

#: Parameters that no concentration without interaction or midazolam depends on, or that are definitions.
_NOT_FREE = (
    "pk.molar_mass.", "pk.interaction.", "pk.midazolam.", "pk.residual.", "pk.variability.", "pk.effect.",
    "pk.reference_weight", "pk.old_age", "pk.liver.flow", "pk.allometry.", "pk.nasal.device", "pk.nasal.session",
    "pk.inhaled.", "pk.oral.", "pk.sc.",
)  # fmt: skip
#: Degrees of freedom of the error: heavy tails, finite variance.
_FREEDOM = 4.0
#: Kinds of vague prior by unit, and of the numbers without one that are no shares.
_VAGUE = {"1": "share", "1/h": "rate", "h": "time", "L/h": "clearance", "L": "volume"}
_VAGUE_NUMBERS = {"pk.cl.r_over_s": "ratio", "pk.nasal.later_devices": "ratio", "pk.sex.clearance": "effect"}


@dataclass(frozen=True)
class Problem:
    """Records and how errors are weighed.

    Parameters
    ----------
    cases : tuple of Case
        Records of concentrations that are fitted.
    between, within : float
        Standard deviation of the logarithm between studies, and of one figure within its study.
    """

    cases: tuple[Case, ...]
    between: float
    within: float

    @functools.cached_property
    def predictor(self) -> Predictor:
        """What predicts the records."""
        return Predictor(self.cases)

    @property
    def keys(self) -> list[str]:
        """Record and number of every figure."""
        return self.predictor.keys

    @property
    def blocks(self) -> list[str]:
        """Study and analyte of every figure, which share an effect."""
        return [f"{case.frame.study} {case.record.outcome.observable}" for case, _ in self.predictor.points]

    def observed(self) -> Array:
        """Return the logarithm of every published figure."""
        return np.log([point.value for _, point in self.predictor.points])

    def predict(self, priors: Mapping[str, Parameter], names: Sequence[str], z: Array) -> Array:
        """Return the logarithm of every figure at each row of `z`, shape (row, figures).

        Parameters
        ----------
        priors : mapping of str to Parameter
        names : sequence of str
        z : ndarray, shape (row, parameter)
        """
        known = {name: z[:, k] for k, name in enumerate(names)}
        found = self.predictor.figures(Settings(priors), known, len(z))
        return np.stack([_logarithm(item) for item in found], axis=1)


def _logarithm(item: Figure | None) -> Array:
    if item is None:
        raise NotSimulableError("an arm of a fitted record could not be solved; validating it says which")
    return transformed(item, item.join(*item.parts))


def problem(cases: Sequence[Case], parameters: Mapping[str, Parameter]) -> Problem:
    """Return the fitting problem of the shipped records.

    Parameters
    ----------
    cases : sequence of Case
        As `kapsim.validation.run.prepare` makes them.
    parameters : mapping of str to Parameter
        Registry, for the widths of the errors.
    """
    fitted = tuple(
        case
        for case in of_concentrations(cases)
        if case.record.outcome.statistic != "tmax" and case.frame.weakness is None
    )
    return Problem(
        fitted,
        parameters["observation.kinetics.between_study"].value,
        parameters["observation.kinetics.within_study"].value,
    )


def of_concentrations(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases of concentrations without an interacting medicine that can be simulated.

    Parameters
    ----------
    cases : sequence of Case
    """
    return tuple(
        case
        for case in cases
        if case.subject is not None
        and case.frame.domain.startswith("plasma_")
        and case.record.use == "quantitative"
        and case.record.outcome.statistic != "ratio"
    )


def free_parameters(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Return the kinetic parameters that a calibration may move, in the order of the registry.

    Parameters
    ----------
    parameters : mapping of str to Parameter
    """
    return tuple(
        name
        for name, parameter in parameters.items()
        if parameter.link == "pharmacokinetics" and not name.startswith(_NOT_FREE) and parameter.uncertainty is not None
    )


def fit(
    task: Problem,
    priors: Mapping[str, Parameter],
    start: Array | None = None,
    *,
    steps: int = MOST_STEPS,
    progress: Callable[[str], None] | None = None,
) -> Fit:
    """Find the posterior mode.

    Parameters
    ----------
    task : Problem
    priors : mapping of str to Parameter
        Registry with the priors.
    start : ndarray, optional
        Where to begin, in prior standard deviations; 0 by default.
    steps : int
        Most steps.
    progress : callable, optional
    """
    names = free_parameters(priors)
    observed, blocks = task.observed(), task.blocks
    kinds = list(dict.fromkeys(blocks))
    found = find_mode(
        lambda z: task.predict(priors, names, z),
        HeavyTails(observed, task.within, _FREEDOM),
        np.asarray([[float(block == kind) for kind in kinds] for block in blocks]),
        task.between,
        np.zeros(len(names)) if start is None else start,
        steps=steps,
        progress=progress,
    )
    residuals = dict(zip(task.keys, (float(x) for x in observed - found.predicted), strict=True))
    return Fit(names, {name: priors[name] for name in names}, found.z, found.sd, residuals, found.cost)


def without_study(
    task: Problem, parameters: Mapping[str, Parameter], study: StudyName
) -> tuple[Problem, dict[str, Parameter], list[str]]:
    """Return the problem and the priors without a study, and the names of the parameters that it took along.

    Parameters
    ----------
    task : Problem
    parameters : mapping of str to Parameter
    study : StudyName
    """
    kept = tuple(case for case in task.cases if not record_study(case.record).same(study))
    free = {name: parameters[name] for name in free_parameters(parameters)}
    sources = source_studies(free, values_only=True)
    taken = parameters_from(study, sources)
    priors = dict(parameters)
    for name in taken:
        priors[name] = vague(parameters[name], parameters)
    return Problem(kept, task.between, task.within), priors, taken


def vague(parameter: Parameter, parameters: Mapping[str, Parameter]) -> Parameter:
    """Return a parameter with a prior that no study informs.

    Parameters
    ----------
    parameter : Parameter
    parameters : mapping of str to Parameter
        Registry that holds the vague priors.
    """
    kind = _VAGUE_NUMBERS.get(parameter.id) or _VAGUE.get(parameter.unit)
    if kind is None:
        raise InputError(f"{parameter.id}: no vague prior for the unit {parameter.unit!r}; give one of {list(_VAGUE)}")
    blank = parameters[f"observation.vague.{kind}"]
    return parameter.model_copy(update={"value": blank.value, "uncertainty": blank.uncertainty, "formula": None})


def lone_studies(cases: Sequence[Case]) -> dict[str, str]:
    """Return the records that no other study could predict: record to reason.

    Parameters
    ----------
    cases : sequence of Case
        From `of_concentrations`.
    """
    found: dict[str, str] = {}
    for what, of in (("route", _route), ("analyte", _analyte)):
        studies: dict[str, set[str]] = {}
        for case in cases:
            studies.setdefault(of(case), set()).add(case.frame.study)
        for case in cases:
            if len(studies[of(case)]) == 1:
                found.setdefault(case.record.id, f"the {what} {of(case)} has this study alone")
    return found


def _route(case: Case) -> str:
    return case.frame.domain.removeprefix("plasma_")


def _analyte(case: Case) -> str:
    name = case.record.outcome.observable.removeprefix("plasma.")
    return "hydroxynorketamine" if name.startswith("hydroxy") else "norketamine" if "nor" in name else "ketamine"


def inputs_hash(parameters: Mapping[str, Parameter]) -> str:
    """Return the SHA-256 of everything that a calibration starts from: priors, records and their sources.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        Registry with the priors.
    """
    kept = [
        parameters[name].model_dump(
            mode="json", warnings=False, include={"id", "value", "unit", "uncertainty", "sources", "formula"}
        )
        for name in parameters
        if parameters[name].link == "pharmacokinetics"
        or name.startswith(("observation.kinetics.", "observation.vague.", "patient.female"))
    ]
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    digest.update((DATA / "observed-pharmacokinetics.yaml").read_bytes())
    return digest.hexdigest()
