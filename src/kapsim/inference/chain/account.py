"""What a calibration of the chain found, as plain data: what moved, what hangs together, how studies are predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Parameter
from kapsim.inference.chain.calibrating import Effort, Posterior
from kapsim.inference.chain.contest import table
from kapsim.inference.chain.leave_out import RELIABLE, LeftOut
from kapsim.inference.chain.new_studies import Scatter
from kapsim.inference.chain.posterior import BETWEEN, Draws
from kapsim.inference.chain.screening import learned
from kapsim.inference.chain.targets import CRITICAL, Targets

Array = NDArray[np.float64]

#: A parameter whose posterior keeps more of its prior width than this has learned nothing.
UNMOVED = 0.9
#: Correlation above which two parameters are told as one product or sum that the records cannot part.
CONFOUNDED = 0.6
_DIGITS = 4
_NINETY = 1.6448536269514722


def account(
    posterior: Posterior,
    left_out: Sequence[LeftOut],
    parameters: Mapping[str, Parameter],
    effort: Effort,
    new_studies: Mapping[str, Scatter],
    *,
    seed: int,
    variant: str,
) -> dict[str, Any]:
    """Return everything that a report of the calibration says, ready for JSON.

    Parameters
    ----------
    posterior : Posterior
    left_out : sequence of LeftOut
        As the model itself predicts them.
    parameters : mapping of str to Parameter
        Registry with the priors.
    effort : Effort
    new_studies : mapping of str to Scatter
        By kind of figure.
    seed : int
    variant : str
    """
    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash

    draws, targets, emulator = posterior.draws, posterior.targets, posterior.emulator
    free, nats = posterior.shipped, learned(posterior.draws)
    fitted = {
        kind: Scatter(draws.between[:, k], draws.arms[:, k], draws.within[:, k]) for k, kind in enumerate(BETWEEN)
    }
    scatter = {**fitted, **new_studies}
    offset = posterior.own.offset / np.maximum(np.hypot(emulator.error, targets.sampling), 1e-12)
    return {
        "made_by": {
            "command": "kapsim calibrate", "kapsim_version": __version__, "evidence_hash": evidence_hash(),
            "seed": seed, "variant": variant, "rows": effort.rows, "refined": effort.refined, "rounds": effort.rounds,
            "checked": effort.checked, "people": effort.people, "sampling": list(effort.sampling),
        },
        "figures": len(targets),
        "studies": len(set(targets.studies)),
        "sampler": _sampler(draws),
        "emulator": {
            "explained": _short(np.median(emulator.explained)),
            "offset": _short(np.sqrt(np.mean(offset**2))),
            "pareto_shape": _short(posterior.shape),
            "weighted_to_the_model": bool(posterior.shape <= RELIABLE),
        },
        "learned": {"all": _short(nats.sum()), "by_free": _short(nats[np.isin(draws.names, posterior.free)].sum()),
                    "parameters": len(draws.names)},
        "parameters": [
            moved(parameters[name], free.z[:, k], float(free.r_hat[k]), float(free.effective[k]))
            for k, name in enumerate(free.names)
        ],
        "confounded": confounded(free.names, free.z),
        "scatter": {
            kind: {
                "between_studies": _short(one.between.mean()), "between_arms": _short(one.arms.mean()),
                "within": _short(one.within.mean()),
                "fitted": {
                    "between_studies": _short(fitted[kind].between.mean()),
                    "between_arms": _short(fitted[kind].arms.mean()), "within": _short(fitted[kind].within.mean()),
                },
            }
            for kind, one in scatter.items()
        },
        "left_out": [
            {
                "study": one.study, "log_density": _short(one.log_density), "pareto_shape": _short(one.shape),
                "refitted": one.refitted, "figures": figures(one, targets),
            }
            for one in left_out
        ],
        "held_out": held_out_scores(left_out, targets, scatter),
        "variants": [
            {**row, "sampler": _sampler(one.draws)}
            for row, one in zip(table(posterior.contestants), posterior.contestants, strict=True)
        ],
        "failures": list(posterior.failures),
    }  # fmt: skip


def _sampler(draws: Draws) -> dict[str, float]:
    """Return how well a posterior was sampled, at the worst of its parameters."""
    return {
        "largest_r_hat": _short(draws.r_hat.max()),
        "smallest_effective_sample": _short(draws.effective.min()),
        "divergences": draws.divergences,
    }


def moved(parameter: Parameter, z: Array, r_hat: float, effective: float) -> dict[str, Any]:
    """Return what became of a parameter: median and 90 % interval in its unit, and how much of the prior is left."""
    law = parameter.uncertainty
    assert law is not None
    low, middle, high = np.quantile(law.apply(parameter.value, z), [0.05, 0.5, 0.95])
    return {
        "id": parameter.id, "unit": parameter.unit, "prior": _short(parameter.value), "median": _short(middle),
        "low": _short(low), "high": _short(high), "moved": _short(z.mean()), "kept": _short(z.std()),
        "learned": bool(z.std() < UNMOVED), "r_hat": _short(r_hat), "effective_sample": _short(effective),
    }  # fmt: skip


def confounded(names: Sequence[str], z: Array) -> list[dict[str, Any]]:
    """Return pairs of parameters that the records know only together, the closest first."""
    if len(names) < 2:
        return []
    together = np.asarray(np.corrcoef(z, rowvar=False)).reshape(len(names), len(names))
    pairs = [(float(together[a, b]), a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    return [
        {"parameters": [names[a], names[b]], "correlation": _short(r)}
        for r, a, b in sorted(pairs, key=lambda pair: -abs(pair[0]))
        if abs(r) >= CONFOUNDED
    ]


def figures(one: LeftOut, targets: Targets) -> list[dict[str, Any]]:
    """Return a study's figures beside what the other studies predict, on the scales of the targets."""
    return [
        {
            "figure": targets.keys[place], "kind": targets.kinds[place], "observed": _short(targets.observed[place]),
            "sampling": _short(targets.sampling[place]), "predicted": _short(mean), "sd": _short(sd),
        }
        for place, mean, sd in zip(one.places, one.predicted, one.sd, strict=True)
    ]  # fmt: skip


def held_out_scores(left_out: Sequence[LeftOut], targets: Targets, scatter: Mapping[str, Scatter]) -> dict[str, Any]:
    """Return scores of what was predicted without its own study, studies weighted equally, by kind.

    Parameters
    ----------
    left_out : sequence of LeftOut
    targets : Targets
    scatter : mapping of str to Scatter
        Of studies and figures by kind, which an interval for a new study must hold.
    """
    found: dict[str, Any] = {}
    for kind in sorted(set(targets.kinds)):
        rows = [
            (one.study, place, mean, sd)
            for one in left_out
            for place, mean, sd in zip(one.places, one.predicted, one.sd, strict=True)
            if targets.kinds[place] == kind
        ]
        counts = {study: sum(row[0] == study for row in rows) for study, *_ in rows}
        weight = np.asarray([1.0 / (len(counts) * counts[study]) for study, *_ in rows])
        at = np.asarray([place for _, place, _, _ in rows])
        mean, sd = (np.asarray([row[k] for row in rows]) for k in (2, 3))
        if kind == "sign":
            seen = np.sign(mean) * (np.abs(mean) > CRITICAL)
            found[kind] = {"figures": len(rows), "studies": len(counts),
                           "right": _short(weight @ (seen == targets.observed[at]))}  # fmt: skip
            continue
        error = mean - targets.observed[at]
        between, arms, within = (
            np.mean(part**2) for part in (scatter[kind].between, scatter[kind].arms, scatter[kind].within)
        )
        beyond = np.where(targets.apart[at], 2.0 * arms, between + arms) + within
        width = np.sqrt(sd**2 + beyond + targets.sampling[at] ** 2)
        found[kind] = {
            "figures": len(rows), "studies": len(counts), "rmse": _short(np.sqrt(weight @ error**2)),
            "bias": _short(weight @ error), "inside_90": _short(weight @ (np.abs(error) <= _NINETY * width)),
            "noise_floor": _short(np.sqrt(weight @ targets.sampling[at] ** 2)),
        }  # fmt: skip
    return found


def _short(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
