"""Joint posterior of the free parameters and of how much studies and figures scatter, by Hamiltonian Monte Carlo.

Observed minus emulated figure is normal. Its variance holds the sampling error, the emulator's own error, what
figures of a study scatter beyond both, and what a study shares over all its figures of one kind (site, region, raters,
who is enrolled), which is integrated out. A sign is right with the probability that a study of its size would report
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.inference.chain.emulator import Emulator
from kapsim.inference.chain.targets import CRITICAL, Targets

Array = NDArray[np.float64]

#: Kinds whose errors are normal, and the scales of the half-normal priors of what studies share and of what their
#: figures scatter besides: points of the MADRS, logarithms, logits of shares, standard deviations.
BETWEEN: Mapping[str, float] = {"points": 3.0, "ratio": 0.25, "share": 0.6, "effect": 0.3, "spread": 0.15}
WITHIN: Mapping[str, float] = {"points": 1.5, "ratio": 0.15, "share": 0.3, "effect": 0.15, "spread": 0.1}
_LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Sampling(NamedTuple):
    """How long is sampled: chains side by side, and the steps of each that are thrown away and kept."""

    chains: int = 4
    warmup: int = 500
    draws: int = 500


USUAL = Sampling()
#: Of a posterior that only predicts the one study which it lacks.
SHORTER = Sampling(2, 300, 300)


class Blocks(NamedTuple):
    """Figures by the study and kind that they share an effect with; figures without a normal error stand apart."""

    normal: NDArray[np.int64]  # places of figures with a normal error
    kind: NDArray[np.int64]  # of each, in the order of `BETWEEN`
    block: NDArray[np.int64]  # of each
    block_kind: NDArray[np.int64]  # of each block
    study: tuple[str, ...]  # of each block
    signs: NDArray[np.int64]  # places of signs


@dataclass(frozen=True)
class Draws:
    """Draws of a posterior.

    Parameters
    ----------
    names : tuple of str
        Free parameters.
    z : ndarray, shape (draw, parameter)
        Standard deviates of their priors.
    between, within : ndarray, shape (draw, kind)
        In the order of `BETWEEN`.
    r_hat, effective : ndarray, shape (parameter,)
        Convergence of the chains, and the number of independent draws that they amount to.
    divergences : int
    """

    names: tuple[str, ...]
    z: Array
    between: Array
    within: Array
    r_hat: Array
    effective: Array
    divergences: int


def blocks(targets: Targets) -> Blocks:
    """Return how figures hang together."""
    kinds = list(BETWEEN)
    normal = np.asarray([k for k, kind in enumerate(targets.kinds) if kind in BETWEEN], dtype=np.int64)
    labels = [(targets.studies[k], targets.kinds[k]) for k in normal]
    every = list(dict.fromkeys(labels))
    return Blocks(
        normal=normal,
        kind=np.asarray([kinds.index(kind) for _, kind in labels], dtype=np.int64),
        block=np.asarray([every.index(label) for label in labels], dtype=np.int64),
        block_kind=np.asarray([kinds.index(kind) for _, kind in every], dtype=np.int64),
        study=tuple(study for study, _ in every),
        signs=np.asarray([k for k, kind in enumerate(targets.kinds) if kind == "sign"], dtype=np.int64),
    )


def block_log_likelihood(
    predicted: Any, error: Any, between: Any, within: Any, targets: Targets, shared: Blocks, space: Any
) -> Any:
    """Return the log likelihood of each block of figures, study effects integrated out, shape (block,).

    Parameters
    ----------
    predicted : array, shape (figure,)
    error : array, shape (figure,)
        Standard deviation of the prediction itself.
    between, within : array, shape (kind,)
    targets : Targets
    shared : Blocks
    space : module
        numpy or jax.numpy.
    """
    at, size = shared.normal, len(shared.study)
    residual = targets.observed[at] - predicted[at]
    variance = targets.sampling[at] ** 2 + error[at] ** 2 + within[shared.kind] ** 2
    member = (shared.block[None, :] == np.arange(size)[:, None]).astype(float)
    precision, tau2 = member @ (1.0 / variance), between[shared.block_kind] ** 2
    pull = member @ (residual / variance)
    # one shared effect with variance tau2 added to independent errors: the rank-one formulas
    quadratic = member @ (residual**2 / variance) - tau2 * pull**2 / (1.0 + tau2 * precision)
    determinant = member @ space.log(variance) + space.log1p(tau2 * precision)
    return -0.5 * (quadratic + determinant + member.sum(axis=1) * _LOG_TWO_PI)


def sign_log_likelihood(predicted: Any, error: Any, targets: Targets, shared: Blocks, cdf: Any, space: Any) -> Any:
    """Return the log likelihood of each sign, shape (sign,): would a study of its size have reported it.

    Parameters
    ----------
    predicted, error : array, shape (figure,)
        Test statistic that the model expects, and its own error.
    targets : Targets
    shared : Blocks
    cdf : callable
        Of the normal law.
    space : module
        numpy or jax.numpy.
    """
    at = shared.signs
    width = space.sqrt(1.0 + error[at] ** 2)
    above = 1.0 - cdf((CRITICAL - predicted[at]) / width)
    below = cdf((-CRITICAL - predicted[at]) / width)
    seen = targets.observed[at]
    likely = space.where(seen > 0.0, above, space.where(seen < 0.0, below, 1.0 - above - below))
    return space.log(space.clip(likely, 1e-9, 1.0))


class Sampler:
    """The posterior of one emulator, compiled once: other data, or fewer studies, need no new program.

    Parameters
    ----------
    emulator : Emulator
    targets : Targets
    effort : Sampling
    """

    def __init__(self, emulator: Emulator, targets: Targets, effort: Sampling = USUAL) -> None:
        import jax
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as dist
        from jax.scipy.special import ndtr
        from numpyro.infer import MCMC, NUTS

        self._emulator, self._targets, self._shared = emulator, targets, blocks(targets)
        shared, size = self._shared, len(emulator.names)

        def model(observed: Any, counted: Any, signs: Any) -> None:
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([size]).to_event(1))
            between = numpyro.sample("between", dist.HalfNormal(jnp.asarray(list(BETWEEN.values()))).to_event(1))
            within = numpyro.sample("within", dist.HalfNormal(jnp.asarray(list(WITHIN.values()))).to_event(1))
            predicted, data = emulator(z), replace(targets, observed=observed)
            normal = block_log_likelihood(predicted, emulator.error, between, within, data, shared, jnp)
            numpyro.factor("figures", (counted * normal).sum())
            if len(shared.signs):
                likely = sign_log_likelihood(predicted, emulator.error, data, shared, ndtr, jnp)
                numpyro.factor("signs", (signs * likely).sum())

        with jax.enable_x64(True):
            self._mcmc = MCMC(
                NUTS(model, target_accept_prob=0.9), num_warmup=effort.warmup, num_samples=effort.draws,
                num_chains=effort.chains, chain_method="sequential", jit_model_args=True, progress_bar=False,
            )  # fmt: skip

    def __call__(self, *, seed: int = 0, observed: Array | None = None, without: str | None = None) -> Draws:
        """Return draws.

        Parameters
        ----------
        seed : int
        observed : ndarray, shape (figure,), optional
            Other data than those of the targets.
        without : str, optional
            A study that does not count.
        """
        import jax
        from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

        shared = self._shared
        counted = np.asarray([float(study != without) for study in shared.study])
        signs = np.asarray([float(self._targets.studies[place] != without) for place in shared.signs])
        with jax.enable_x64(True):
            self._mcmc.run(
                jax.random.PRNGKey(seed), np.asarray(self._targets.observed if observed is None else observed), counted,
                signs, extra_fields=("diverging",),
            )  # fmt: skip
            found = {name: np.asarray(value) for name, value in self._mcmc.get_samples(group_by_chain=True).items()}
            diverging = int(np.asarray(self._mcmc.get_extra_fields()["diverging"]).sum())
        return Draws(
            names=self._emulator.names,
            z=found["z"].reshape(-1, len(self._emulator.names)),
            between=found["between"].reshape(-1, len(BETWEEN)),
            within=found["within"].reshape(-1, len(WITHIN)),
            r_hat=np.asarray(split_gelman_rubin(found["z"])),
            effective=np.asarray(effective_sample_size(found["z"])),
            divergences=diverging,
        )


def study_log_likelihood(draws: Draws, predicted: Array, error: Array, targets: Targets) -> dict[str, Array]:
    """Return the log likelihood of each study at each draw, its own effect integrated out.

    Parameters
    ----------
    draws : Draws
    predicted : ndarray, shape (draw, figure)
    error : ndarray, shape (figure,)
    targets : Targets

    Returns
    -------
    dict of str to ndarray, shape (draw,)
    """
    from scipy.special import ndtr

    shared = blocks(targets)
    sign_studies = [targets.studies[k] for k in shared.signs]
    found = {study: np.zeros(len(draws.z)) for study in dict.fromkeys(targets.studies)}
    for k in range(len(draws.z)):
        normal = block_log_likelihood(predicted[k], error, draws.between[k], draws.within[k], targets, shared, np)
        for study, value in zip(shared.study, normal, strict=True):
            found[study][k] += value
        for study, value in zip(
            sign_studies, sign_log_likelihood(predicted[k], error, targets, shared, ndtr, np), strict=True
        ):
            found[study][k] += value
    return found
