"""A posterior as package data: middle and width of each parameter, without each study, under each variant, and draws.

What is written is read by `kapsim.evidence.calibration` and `kapsim.evidence.ensemble`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from kapsim.evidence import Parameter
from kapsim.inference.chain.calibrating import Posterior
from kapsim.inference.chain.contest import table
from kapsim.inference.chain.design import candidates
from kapsim.inference.chain.leave_out import LeftOut
from kapsim.inference.chain.new_studies import Scatter
from kapsim.inference.chain.posterior import BETWEEN, Draws
from kapsim.validation.cases import Case

Array = NDArray[np.float64]

#: Draws of the ensemble that ships.
SHIPPED_DRAWS = 500
_DIGITS = 6
#: Parameters of prediction that the calibration finds beside those of the chain: what studies share, and what a figure
#: of one scatters besides (with its arm and by itself), by kind of figure.
SCATTER = {
    kind: (f"observation.mood.between_study{end}", f"observation.mood.within_study{end}")
    for kind, end in (("points", ""), ("share", "_share"), ("effect", "_effect"))
}


def inputs_hash(parameters: Mapping[str, Parameter], cases: Sequence[Case]) -> str:
    """Return the SHA-256 of what the calibration starts from: the priors that it may move, and its records.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        Registry with the priors.
    cases : sequence of Case
        From `kapsim.inference.chain.targets.fitted`.
    """
    kept = {"id", "value", "unit", "uncertainty"}
    priors = [parameters[name].model_dump(mode="json", warnings=False, include=kept) for name in candidates(parameters)]
    records = [case.record.model_dump(mode="json", warnings=False, by_alias=True) for case in cases]
    return hashlib.sha256(json.dumps([priors, records], sort_keys=True, default=str).encode()).hexdigest()


def moved(parameter: Parameter, z: float, sd: float) -> dict[str, Any]:
    """Return what became of a parameter.

    Parameters
    ----------
    parameter : Parameter
        With its prior.
    z, sd : float
        Mean and standard deviation of its posterior, as standard deviates of the prior.
    """
    law = parameter.uncertainty
    assert law is not None
    if law.law == "half_normal":
        # its value is the end of the law, which no record moves
        return _told(parameter.id, parameter.value, law.sd * float(np.hypot(z, sd)), 0.0, float(np.hypot(z, sd)))
    return _told(parameter.id, float(law.apply(parameter.value, z)), law.sd * sd, z, sd)


def scatter(
    new_studies: Mapping[str, Scatter], draws: Draws, parameters: Mapping[str, Parameter]
) -> list[dict[str, Any]]:
    """Return what became of the scatter of figures between studies and within them.

    Parameters
    ----------
    new_studies : mapping of str to Scatter
        Of studies left out, by kind of figure; where a kind has none, that of the studies fitted is taken.
    draws : Draws
    parameters : mapping of str to Parameter
        Registry with the priors, which predictions use and the calibration replaces by its own.
    """
    found = []
    for kind, names in SCATTER.items():
        place = list(BETWEEN).index(kind)
        fitted = Scatter(draws.between[:, place], draws.arms[:, place], draws.within[:, place])
        one = new_studies.get(kind, fitted)
        for name, sampled in zip(names, (one.between, one.own), strict=True):
            prior = parameters[name]
            assert prior.uncertainty is not None
            z = np.log(sampled / prior.value) / prior.uncertainty.sd
            found.append(moved(prior, float(z.mean()), float(z.std())))
    return found


def _told(identifier: str, value: float, sd: float, z: float, kept: float) -> dict[str, Any]:
    numbers = {"value": value, "sd": sd, "moved": z, "kept": kept}
    return {"id": identifier, **{name: float(f"{number:.{_DIGITS}g}") for name, number in numbers.items()}}


def calibration(
    posterior: Posterior,
    parameters: Mapping[str, Parameter],
    cases: Sequence[Case],
    new_studies: Mapping[str, Scatter],
    *,
    seed: int,
) -> str:
    """Return the calibration as YAML; what is left without each study stands in a file of its own.

    Parameters
    ----------
    posterior : Posterior
    parameters : mapping of str to Parameter
        Registry with the priors.
    cases : sequence of Case
        Records that were offered; those with a figure that could be computed were fitted.
    new_studies : mapping of str to Scatter
        By kind of figure.
    seed : int
    """
    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash

    draws, free = posterior.draws, posterior.shipped
    content = {
        "script": "kapsim calibrate",
        "inputs": inputs_hash(parameters, cases),
        "error": (
            "normal, by published standard errors, with effects that figures of one kind share in a study and in an "
            "arm, and signs by the normal distribution function; a second-degree emulator's own error included; "
            "Hamiltonian Monte Carlo"
        ),
        "records": [case.record.id for case in _fitted(posterior, cases)],
        "parameters": [
            moved(parameters[name], float(free.z[:, k].mean()), float(free.z[:, k].std()))
            for k, name in enumerate(free.names)
        ]
        + scatter(new_studies, draws, parameters),
        "leave_one_study_out": [],
        "sampled": {
            "version": __version__,
            "evidence": evidence_hash(),
            "seed": seed,
            "draws": min(SHIPPED_DRAWS, len(draws.z)),
            "divergences": draws.divergences,
            "r_hat": float(f"{draws.r_hat.max():.4g}"),
            "effective": float(f"{draws.effective.min():.4g}"),
            "pareto_shape": float(f"{posterior.shape:.3g}"),
        },
        "variants": table(posterior.contestants),
        "note": None,
    }
    return _yaml(content)


def without_studies(
    posterior: Posterior, left_out: Sequence[LeftOut], parameters: Mapping[str, Parameter], cases: Sequence[Case]
) -> str:
    """Return what is left without each study, as YAML.

    Parameters
    ----------
    posterior : Posterior
    left_out : sequence of LeftOut
    parameters : mapping of str to Parameter
        Registry with the priors.
    cases : sequence of Case
    """
    records = _fitted(posterior, cases)
    places = [posterior.draws.names.index(name) for name in posterior.free]
    return _yaml(
        [
            {
                "study": one.study,
                "records": [case.record.id for case in records if case.frame.study == one.study],
                "dropped": [],
                "not_testable": {},
                "parameters": [
                    moved(parameters[name], float(one.z[place]), float(one.z_sd[place]))
                    for name, place in zip(posterior.free, places, strict=True)
                ],
            }
            for one in left_out
        ]
    )


def of_variants(posterior: Posterior, variant: str, parameters: Mapping[str, Parameter]) -> str:
    """Return the free parameters as the fit of every other variant has them, as YAML.

    Parameters
    ----------
    posterior : Posterior
    variant : str
        The one that was fitted first.
    parameters : mapping of str to Parameter
        Registry with the priors.
    """
    found = []
    for one in posterior.contestants:
        if one.name != variant:
            z = one.draws.some(posterior.free).z
            told = [
                moved(parameters[name], float(z[:, k].mean()), float(z[:, k].std()))
                for k, name in enumerate(posterior.free)
            ]
            found.append({"variant": one.name, "parameters": told})
    return _yaml(found)


def _fitted(posterior: Posterior, cases: Sequence[Case]) -> list[Case]:
    """Return the records of which a figure was fitted."""
    fitted_figures = {key.partition(":")[0] for key in posterior.targets.keys}
    return [case for case in cases if case.record.id in fitted_figures]


def _yaml(content: Any) -> str:
    text = "# Written by kapsim calibrate; change the priors in model.yaml and run it again.\n"
    return text + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def ensemble(names: Sequence[str], z: Array) -> str:
    """Return draws as CSV, evenly thinned, each parameter brought to mean 0 and standard deviation 1.

    Parameters
    ----------
    names : sequence of str
    z : ndarray, shape (draw, parameter)
        Standard deviates of the priors.
    """
    kept = z[np.linspace(0, len(z) - 1, min(SHIPPED_DRAWS, len(z))).round().astype(int)]
    own = (kept - kept.mean(axis=0)) / np.maximum(kept.std(axis=0), 1e-12)
    return "\n".join([",".join(names), *(",".join(f"{value:.4f}" for value in row) for row in own)]) + "\n"
