"""Calibrate what block does to the cortex on records of mechanism alone: no mood, no rating, no test of this project.

Four parameters are free: the shares of NMDA current that block takes among pyramidal cells and onto interneurons, the
drive of interneurons over that of pyramidal cells, and the share of recurrence that a change of synaptic strength
moves. They meet

- the rise of glutamate cycling during 0.5 mg/kg (Abdallah 2018), with the standard error that its t value implies;
- the rise of oxygen metabolism during an infusion in three regions of one study. The chain's cortex is a mean, so its
  pyramidal rate stands for all three. The spread that the abstract prints is read as a standard error: with nine
  degrees of freedom it gives the abstract's own p values;
- connectivity of the default mode network in depression against health (Tozzi 2021), as a standardised difference
  whose spread holds that between people and that of one measurement;
- the inverted U. Rats show less glutamate at 200 mg/kg than at rest (Moghaddam 1997). Read as: at the concentration of
  human anaesthesia the mean pyramidal rate lies below that at rest, a sign with the error of a study of usual size
  (probit). That a rat's dose stands for that concentration is an assumption.

Errors are normal. What figures of one study share is an effect of that study. Priors are those of the registry, the
kinetics as calibrated. The mode is that of `mode`, and so are the widths: of each parameter were the others known.
People draw each parameter on its own, and the two shares of current go together in the posterior, because what counts
is their balance; widths that leave this out would let the balance vary three times as far as the records allow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from kapsim.evidence import Parameter, load_evidence, load_observed
from kapsim.evidence.registry import load_parameters, load_priors
from kapsim.evidence.schema import ObservedDose, ObservedRecord
from kapsim.inference.mode import MOST_STEPS, Fit, find_mode
from kapsim.inference.people import FEW, few_people
from kapsim.inference.predicting import standard_error
from kapsim.mechanisms.response_surface import shipped_surface
from kapsim.validation.arms import Answers, Arm, Settings, Want, collect
from kapsim.validation.figures import Subject, figure
from kapsim.validation.groups import group_key
from kapsim.validation.predictive import transformed
from kapsim.validation.regimens import Treatment, masking_of, treatment
from kapsim.validation.subject import Ask

Array = NDArray[np.float64]

FREE = ("receptor.interneuron_drive", "network.block.f_e", "network.block.f_i", "network.strength_share")
#: Records of what block does, of illness, and of the sign at a high dose, in the order of the figures.
RISES = (
    "abdallah2018.ketamine.gln13c",
    "ismrm2020.cmro2.prefrontal",
    "ismrm2020.cmro2.visual",
    "ismrm2020.cmro2.sensorimotor",
)
ILLNESS = "tozzi2021.core"
FALL = "moghaddam1997.ketamine200.glu_sign"
#: Hour of a held anaesthetic concentration at which the rate is read: that of the rats.
_HELD_H = 1.0
#: What the fit depends on besides its records and the surface, by the beginning of the name.
_DEPENDS = (
    "pk.", "receptor.", "network.block.", "network.strength_share", "network.tau_inhibition", "glutamate.tau",
    "glutamate.uptake_loss", "patient.spine_deficit", "patient.deficit_limit", "patient.subgenual", "patient.madrs",
    "patient.microglia", "observation.cortex.", "observation.noise.connectivity", "observation.noise.spectroscopy",
    "observation.usual_n",
)  # fmt: skip


@dataclass(frozen=True)
class Reported:
    """Figures with normal errors of known width, and signs by the normal distribution function.

    Parameters
    ----------
    observed, width : ndarray, shape (figure,)
        For a sign −1 or 1 and the error of the difference whose sign it is.
    sign : ndarray of bool, shape (figure,)
    """

    observed: Array
    width: Array
    sign: NDArray[np.bool_]

    def cost(self, expected: Array) -> float:
        """As `kapsim.inference.mode.Likelihood.cost`."""
        off = (self.observed - expected) / self.width
        return float(np.where(self.sign, -log_ndtr(self._toward(expected)), 0.5 * off**2).sum())

    def pull(self, expected: Array) -> Array:
        """As `kapsim.inference.mode.Likelihood.pull`."""
        by_sign = self.observed * self._hazard(expected) / self.width
        return np.where(self.sign, by_sign, (self.observed - expected) / self.width**2)

    def weight(self, expected: Array) -> Array:
        """As `kapsim.inference.mode.Likelihood.weight`."""
        hazard = self._hazard(expected)
        return np.where(self.sign, hazard * (hazard + self._toward(expected)), 1.0) / self.width**2

    def _toward(self, expected: Array) -> Array:
        """How far a difference lies on the side of its sign, in widths."""
        return np.where(self.sign, self.observed * expected / self.width, 0.0)

    def _hazard(self, expected: Array) -> Array:
        at = self._toward(expected)
        return np.asarray(np.exp(-0.5 * at**2 - 0.5 * np.log(2.0 * np.pi) - log_ndtr(at)))


@dataclass(frozen=True)
class Problem:
    """Records of the cortex and how errors are weighed.

    Parameters
    ----------
    records : tuple of ObservedRecord
        Those that are fitted, in the order of their figures.
    parameters : mapping of str to Parameter
        Registry with the priors of what is free.
    """

    records: tuple[ObservedRecord, ...]
    parameters: Mapping[str, Parameter]

    @property
    def names(self) -> list[str]:
        """Ids of the records."""
        return [record.id for record in self.records]

    @property
    def between(self) -> float:
        """Standard deviation of what the figures of a study share."""
        return self.parameters["observation.cortex.between_study"].value

    def member(self) -> Array:
        """Return which figure holds the effect of which study of a rise, shape (figure, study)."""
        studies = list(dict.fromkeys(r.study.author for r in self.records if r.id in RISES))
        return np.asarray(
            [[float(r.id in RISES and r.study.author == study) for study in studies] for r in self.records]
        )

    def likelihood(self) -> Reported:
        """Return what was published, on the scale of errors."""
        rows = [self._published(record) for record in self.records]
        return Reported(
            np.asarray([value for value, _ in rows]),
            np.asarray([width for _, width in rows]),
            np.asarray([record.id == FALL for record in self.records]),
        )

    def _published(self, record: ObservedRecord) -> tuple[float, float]:
        point = record.points[0]
        if record.id == FALL:
            noise, people = (self.parameters[f"observation.{k}"].value for k in ("noise.spectroscopy", "usual_n"))
            return float(point.value), noise * float(np.sqrt(2.0 / people))
        error = standard_error(point, None) or point.plusminus
        assert error is not None
        if record.outcome.statistic == "percent_change":
            return float(np.log(1.0 + point.value / 100.0)), error / (100.0 + point.value)
        return float(point.value), error

    def predict(self, z: Array) -> Array:
        """Return the expected figures at each row of `z`, shape (row, figure).

        Parameters
        ----------
        z : ndarray, shape (row, parameter)
            In the order of `FREE`, in standard deviations of the priors from their centres.
        """
        priors = self.parameters
        known = {name: z[:, k] for k, name in enumerate(FREE)}
        asked: list[tuple[Arm, Want]] = []

        def note(arm: Arm, want: Want) -> Array:
            asked.append((arm, want))
            return np.ones((len(z), FEW, len(want.hours)))

        for record in self.records:
            self._expected(record, note)
        answers = Answers(
            Settings(priors),
            collect(asked),
            people_of=lambda group: few_people(group, priors, known, len(z)),
            shape=(len(z), FEW),
        )
        return np.stack([self._expected(record, answers) for record in self.records], axis=1)

    def _expected(self, record: ObservedRecord, ask: Ask) -> Array:
        if record.id == FALL:
            rates = ask(held(), Want("pyramidal_rate", "at", (_HELD_H,)))[..., 0]
            return np.asarray(np.log(rates).mean(axis=-1))
        done, _ = treatment(record, masking_of(record, {dose.drug for dose in record.regimen.doses}))
        subject = Subject(record, Arm(record.study.author, group_key(record.group), done))
        found = figure(subject, record.points[0], ask)
        if record.id != ILLNESS:
            return transformed(found, found.join(*found.parts))
        ill, healthy = found.parts
        # a study divides by what it sees of the spread, the error of a scan included
        noise = self.parameters["observation.noise.connectivity"].value
        spread = 0.5 * (ill.var(axis=-1, ddof=1) + healthy.var(axis=-1, ddof=1))
        return np.asarray((ill.mean(axis=-1) - healthy.mean(axis=-1)) / np.sqrt(spread + noise**2))


def held() -> Arm:
    """Return healthy people at the concentration of human anaesthesia, held by a pump."""
    record, evidence = next(r for r in load_observed() if r.id == RISES[1]), load_evidence()
    micromolar = evidence["anaesthesia.conc.racemate"].value
    assert micromolar is not None
    level = micromolar * load_parameters()["pk.molar_mass.ketamine"].value
    dose = ObservedDose(
        drug="ketamine", route="iv", amount=level, unit="ng/mL", duration_min=60.0 * _HELD_H, at_h=(0.0,)
    )
    return Arm("held", group_key(record.group), Treatment((dose,), (), (), "open"))


def problem() -> Problem:
    """Return the fitting problem of the shipped records: the kinetics as calibrated, what is free at its prior."""
    records = {record.id: record for record in load_observed()}
    priors, parameters = load_priors(), load_parameters(chain=False)
    return Problem(
        tuple(records[name] for name in (*RISES, ILLNESS, FALL)),
        {**parameters, **{name: priors[name] for name in FREE}},
    )


def fit(
    task: Problem,
    start: Array | None = None,
    *,
    steps: int = MOST_STEPS,
    progress: Callable[[str], None] | None = None,
) -> Fit:
    """Find the posterior mode.

    Parameters
    ----------
    task : Problem
    start : ndarray, optional
        Where to begin, in prior standard deviations; 0 by default.
    steps : int
        Most steps.
    progress : callable, optional
    """
    likelihood = task.likelihood()
    found = find_mode(
        task.predict,
        likelihood,
        task.member(),
        task.between,
        np.zeros(len(FREE)) if start is None else start,
        steps=steps,
        progress=progress,
    )
    # a sign has no residual: what is told of it is the difference itself
    off = np.where(likelihood.sign, found.predicted, likelihood.observed - found.predicted)
    residuals = dict(zip(task.names, map(float, off), strict=True))
    return Fit(FREE, {name: task.parameters[name] for name in FREE}, found.z, found.alone, residuals, found.cost)


def without(task: Problem, records: Sequence[str]) -> Problem:
    """Return the problem without some records."""
    return Problem(tuple(record for record in task.records if record.id not in records), task.parameters)


def inputs_hash() -> str:
    """Return the SHA-256 of what the calibration starts from: priors, records, kinetics and response surface."""
    task = problem()
    kept = [
        parameter.model_dump(mode="json", warnings=False, include={"id", "value", "unit", "uncertainty"})
        for name, parameter in task.parameters.items()
        if name.startswith(_DEPENDS)
    ]
    records = [record.model_dump(mode="json", warnings=False, by_alias=True) for record in task.records]
    told = json.dumps([kept, records, held()], sort_keys=True, default=str)
    return hashlib.sha256((told + shipped_surface().digest).encode()).hexdigest()
